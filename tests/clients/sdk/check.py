"""The providers' official Python clients against the fakes: every call that the backend makes, and its errors.

The responses are validated strictly by the client's own models. Needs the variables that
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


def strict(response):
    """The response, validated strictly by its model: the client itself is lenient."""
    return type(response).model_validate(json.loads(response.model_dump_json()))


def fails_with(status, word, call):
    """Asserts that the call fails with this HTTP status, and with this word in the error's body."""
    try:
        response = call()
        # A stream sends its request when it is read.
        if hasattr(response, "__next__"):
            b"".join(response)
    except ApiError as error:
        assert error.status_code == status, f"{error.status_code} instead of {status}: {error.body}"
        assert word in json.dumps(error.body), f"no {word}: {error.body}"
        return
    raise AssertionError(f"{word}: no error")


def elevenlabs_client(key):
    return ElevenLabs(base_url=os.environ["ELEVENLABS_BASE_URL"], api_key=key)


def voices():
    client = elevenlabs_client(os.environ["ELEVENLABS_API_KEY"])

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

    fails_with(401, "invalid_api_key", lambda: elevenlabs_client("wrong").user.subscription.get())
    fails_with(400, "invalid_", lambda: add("sdk noise", ("noise.webm", bytes(50_000), "audio/webm")))
    fails_with(404, "voice_not_found", lambda: speak("aVoiceThatIsNotThere"))
    fails_with(400, "model_not_found", lambda: speak(model_id="eleven_nonsense"))
    fails_with(403, "invalid_output_format", lambda: speak(output_format="mp3_1_1"))
    fails_with(422, "loc", lambda: client.text_to_speech.convert(added.voice_id, text=None))

    assert strict(client.voices.delete(added.voice_id)).status == "ok"
    fails_with(404, "voice_not_found", lambda: client.voices.get(added.voice_id))
    fails_with(404, "voice_not_found", lambda: client.voices.delete(added.voice_id))
    after = strict(client.user.subscription.get())
    assert after.voice_add_edit_counter == before.voice_add_edit_counter + 1, "a creation stays counted"
    assert after.voice_slots_used == before.voice_slots_used, "a slot is freed"
    assert after.character_count > before.character_count

    for number in range(after.voice_limit - after.voice_slots_used):
        strict(add(f"sdk check {number}", RECORDING.open("rb")))
    fails_with(400, "voice_limit_reached", lambda: add("one too many", RECORDING.open("rb")))


def thoughts():
    def gemini_client(key):
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
        raise AssertionError(f"{status}: no error")

    client = gemini_client(os.environ["GEMINI_API_KEY"])
    response = strict(ask(client))
    assert response.text and response.candidates[0].finish_reason == types.FinishReason.STOP, response
    assert response.usage_metadata.total_token_count > 0 and response.model_version == GEMINI_MODEL, response
    fails(400, "INVALID_ARGUMENT", lambda: ask(gemini_client("wrong")))
    fails(404, "NOT_FOUND", lambda: ask(client, "gemini-1.5-flash"))


voices()
thoughts()
print("The Python clients accept every response.")
