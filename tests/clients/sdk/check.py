"""The providers' official Python clients against the stand-ins: every call that the backend makes, and its errors.

What a stand-in answers is validated by the client's own models, strictly. Needs the variables that
`cargo local with` sets.

Usage: check.py RECORDING
"""

import json
import os
import sys
from pathlib import Path

from elevenlabs import VoiceSettings
from elevenlabs.client import ElevenLabs
from elevenlabs.core.api_error import ApiError
from google import genai
from google.genai import errors, types

RECORDING = Path(sys.argv[1])
MODEL = "eleven_flash_v2_5"
GEMINI_MODEL = "gemini-3.5-flash-lite"


def strict(answer):
    """The answer again, but read by its model with nothing forgiven: the client itself forgives much."""
    return type(answer).model_validate(json.loads(answer.model_dump_json()))


def refused(status, word, call):
    """The call fails with this HTTP status, and with this word in the error's body."""
    try:
        answer = call()
        # Speech is sent when it is asked for.
        if hasattr(answer, "__next__"):
            b"".join(answer)
    except ApiError as error:
        assert error.status_code == status, f"{error.status_code} in place of {status}: {error.body}"
        assert word in json.dumps(error.body), f"no {word}: {error.body}"
        return
    raise AssertionError(f"{word}: not refused")


def elevenlabs_of(key):
    return ElevenLabs(base_url=os.environ["ELEVENLABS_BASE_URL"], api_key=key)


def voices():
    client = elevenlabs_of(os.environ["ELEVENLABS_API_KEY"])

    def add(name, recording):
        return client.voices.ivc.create(name=name, files=[recording], remove_background_noise=False)

    before = strict(client.user.subscription.get())
    added = strict(add("sdk check", RECORDING.open("rb")))
    assert len(added.voice_id) == 20 and added.requires_verification is False, added
    found = strict(client.voices.search(search="sdk check", category="cloned", page_size=100))
    assert [voice.voice_id for voice in found.voices] == [added.voice_id] and found.has_more is False, found
    assert strict(client.voices.get(added.voice_id)).name == "sdk check"

    def speak(voice_id=added.voice_id, model_id=MODEL, **more):
        return client.text_to_speech.convert(
            voice_id,
            text="You dreamt of the queen of hearts.",
            model_id=model_id,
            output_format=more.pop("output_format", "mp3_44100_128"),
            voice_settings=VoiceSettings(stability=0.5, similarity_boost=0.75),
            **more,
        )

    audio = b"".join(speak(language_code="en"))
    assert len(audio) > 5000 and audio[0] == 0xFF, "not MP3"
    streamed = client.text_to_speech.stream(added.voice_id, text="Hearts.", model_id=MODEL)
    assert len(b"".join(streamed)) > 1000

    refused(401, "invalid_api_key", lambda: elevenlabs_of("wrong").user.subscription.get())
    refused(400, "invalid_", lambda: add("sdk noise", ("noise.webm", bytes(50_000), "audio/webm")))
    refused(404, "voice_not_found", lambda: speak("aVoiceThatIsNotThere"))
    refused(400, "model_not_found", lambda: speak(model_id="eleven_nonsense"))
    refused(403, "invalid_output_format", lambda: speak(output_format="mp3_1_1"))
    refused(422, "loc", lambda: client.text_to_speech.convert(added.voice_id, text=None))

    assert strict(client.voices.delete(added.voice_id)).status == "ok"
    refused(404, "voice_not_found", lambda: client.voices.get(added.voice_id))
    refused(404, "voice_not_found", lambda: client.voices.delete(added.voice_id))
    after = strict(client.user.subscription.get())
    assert after.voice_add_edit_counter == before.voice_add_edit_counter + 1, "a creation stays spent"
    assert after.voice_slots_used == before.voice_slots_used, "a slot does not"
    assert after.character_count > before.character_count

    for number in range(after.voice_limit - after.voice_slots_used):
        strict(add(f"sdk check {number}", RECORDING.open("rb")))
    refused(400, "voice_limit_reached", lambda: add("one too many", RECORDING.open("rb")))


def thoughts():
    def client_of(key):
        options = types.HttpOptions(base_url=os.environ["GEMINI_BASE_URL"])
        return genai.Client(api_key=key, http_options=options)

    def ask(client, model=GEMINI_MODEL):
        return client.models.generate_content(
            model=model,
            contents="The value is: queen of hearts",
            config=types.GenerateContentConfig(
                system_instruction="Tell of a dream.",
                max_output_tokens=200,
                thinking_config=types.ThinkingConfig(thinking_level="minimal"),
                safety_settings=[
                    types.SafetySetting(
                        category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_LOW_AND_ABOVE"
                    )
                ],
            ),
        )

    def fails(code, status, call):
        try:
            call()
        except errors.ClientError as error:
            assert (error.code, error.status) == (code, status), error
            return
        raise AssertionError(f"{status}: not refused")

    client = client_of(os.environ["GEMINI_API_KEY"])
    answer = strict(ask(client))
    assert answer.text and answer.candidates[0].finish_reason == types.FinishReason.STOP, answer
    assert answer.usage_metadata.total_token_count > 0 and answer.model_version == GEMINI_MODEL, answer
    fails(400, "INVALID_ARGUMENT", lambda: ask(client_of("wrong")))
    fails(404, "NOT_FOUND", lambda: ask(client, "gemini-1.5-flash"))


voices()
thoughts()
print("The Python clients read every answer.")
