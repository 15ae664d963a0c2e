// The providers' official JavaScript clients against the fakes: every call that the backend makes, and its errors.
// The ElevenLabs client rejects responses with a missing field or a wrong type. Needs the variables that
// `cargo local with` sets.
//
// Usage: check.mjs RECORDING

import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import process from "node:process";

import { ElevenLabsClient, ElevenLabsError } from "@elevenlabs/elevenlabs-js";
import { ApiError, GoogleGenAI } from "@google/genai";

const [, , recording] = process.argv;
const { ELEVENLABS_BASE_URL, ELEVENLABS_API_KEY, GEMINI_BASE_URL, GEMINI_API_KEY } = process.env;
const model = "eleven_flash_v2_5";
const geminiModel = "gemini-3.5-flash-lite";

/** All bytes of a stream. */
async function bytes(stream) {
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Asserts that the call fails with this HTTP status, and with this word in the error's body. */
async function failsWith(status, word, call) {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof ElevenLabsError, String(error));
    assert.equal(error.statusCode, status, JSON.stringify(error.body));
    assert.match(JSON.stringify(error.body), new RegExp(word));
    return true;
  });
}

async function voices() {
  const clientOf = (apiKey) => new ElevenLabsClient({ apiKey, baseUrl: ELEVENLABS_BASE_URL, maxRetries: 0 });
  const client = clientOf(ELEVENLABS_API_KEY);
  const add = (name) =>
    client.voices.ivc.create({ name, files: [createReadStream(recording)], removeBackgroundNoise: false });

  const before = await client.user.subscription.get();
  const added = await add("sdk check");
  assert.equal(added.voiceId.length, 20);
  assert.equal(added.requiresVerification, false);
  const found = await client.voices.search({ search: "sdk check", category: "cloned", pageSize: 100 });
  assert.deepEqual(found.voices.map((voice) => voice.voiceId), [added.voiceId]);
  assert.equal(found.hasMore, false);
  assert.equal((await client.voices.get(added.voiceId)).name, "sdk check");

  const speak = (voiceId, more = {}) =>
    client.textToSpeech.convert(voiceId, {
      text: "You dreamt of the queen of hearts.",
      modelId: model,
      outputFormat: "mp3_44100_128",
      languageCode: "en",
      voiceSettings: { stability: 0.5, similarityBoost: 0.75 },
      ...more,
    });
  const audio = await bytes(await speak(added.voiceId));
  assert.ok(audio.length > 5000 && audio[0] === 0xff, "not MP3");
  const streamed = await client.textToSpeech.stream(added.voiceId, { text: "Hearts.", modelId: model });
  assert.ok((await bytes(streamed)).length > 1000);

  await failsWith(401, "invalid_api_key", () => clientOf("wrong").user.subscription.get());
  await failsWith(404, "voice_not_found", () => speak("aVoiceThatIsNotThere"));
  await failsWith(400, "model_not_found", () => speak(added.voiceId, { modelId: "eleven_nonsense" }));

  assert.equal((await client.voices.delete(added.voiceId)).status, "ok");
  await failsWith(404, "voice_not_found", () => client.voices.delete(added.voiceId));
  const after = await client.user.subscription.get();
  assert.equal(after.voiceAddEditCounter, before.voiceAddEditCounter + 1);
  assert.equal(after.voiceSlotsUsed, before.voiceSlotsUsed);
  for (let free = after.voiceLimit - after.voiceSlotsUsed; free > 0; free -= 1) await add(`sdk check ${free}`);
  await failsWith(400, "voice_limit_reached", () => add("one too many"));
}

async function thoughts() {
  const clientOf = (apiKey) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: GEMINI_BASE_URL } });
  const ask = (client, asked = geminiModel) =>
    client.models.generateContent({
      model: asked,
      contents: "The value is: queen of hearts",
      config: {
        systemInstruction: "Tell of a dream.",
        maxOutputTokens: 200,
        thinkingConfig: { thinkingLevel: "MINIMAL" },
        safetySettings: [{ category: "HARM_CATEGORY_HARASSMENT", threshold: "BLOCK_LOW_AND_ABOVE" }],
      },
    });
  const fails = (status, call) =>
    assert.rejects(call, (error) => error instanceof ApiError && error.status === status);

  const response = await ask(clientOf(GEMINI_API_KEY));
  assert.ok(response.text.length > 10);
  assert.equal(response.candidates[0].finishReason, "STOP");
  assert.equal(response.modelVersion, geminiModel);
  await fails(400, () => ask(clientOf("wrong")));
  await fails(404, () => ask(clientOf(GEMINI_API_KEY), "gemini-1.5-flash"));
}

await voices();
await thoughts();
console.log("The JavaScript clients accept every response.");
