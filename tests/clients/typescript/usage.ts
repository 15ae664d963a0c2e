// The API in a typed client: compiled, never run. Lines that must not compile are marked, so that a description
// that lost its types fails here too. `schema.d.ts` is generated from functions/usage/openapi.json by openapi-typescript.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const client = createClient<paths>({ baseUrl: "https://api.example.com" });
const path = { user_id: "me" };

export async function signUp(): Promise<string> {
  const { data, error } = await client.POST("/auth/register", {
    body: {
      username: "ada",
      email: "ada@example.com",
      password: "correct horse battery staple",
      activationCode: "PUT11CODE42",
    },
  });
  if (error) {
    switch (error.code) {
      case "username_taken":
      case "email_taken":
        return error.detail;
      case "invalid_request":
        return error.errors.map(({ field, message }) => `${field} ${message}`).join("; ");
      // @ts-expect-error a sign-up does not perform
      case "clone_slots_busy":
        return "";
      default:
        return error.request_id;
    }
  }
  return data.access_token;
}

export async function settle(token: string): Promise<number> {
  client.use({
    onRequest({ request }) {
      request.headers.set("Authorization", `Bearer ${token}`);
    },
  });
  // What is left out has its default; what comes back is whole.
  const { data } = await client.PUT("/users/{user_id}/settings", {
    params: { path },
    body: { voice_language: "es", speaker_sex: "female" },
  });
  // @ts-expect-error there is no such language
  await client.PUT("/users/{user_id}/settings", { params: { path }, body: { voice_language: "xx" } });
  const voice = await client.GET("/users/{user_id}/voice/meta", { params: { path } });
  const seconds: number | null | undefined = voice.data?.duration;
  return (data?.voice_stability ?? 0) + (seconds ?? 0);
}

export async function perform(): Promise<string[]> {
  const { data, error } = await client.POST("/perform", {
    params: { header: { "Idempotency-Key": "a-show-in-leeds-1" } },
    body: { routine_type: "cards", value: "Queen of Hearts", settings_override: { voice_stability: 40 } },
  });
  if (error) {
    return [error.code === "quota_exceeded" ? "next month" : error.code];
  }
  if (typeof data === "string") {
    return ["the bytes of an MP3, which this did not ask for"];
  }
  if ("takes" in data) {
    return data.takes.flatMap((take) => ("audio_base64" in take ? [take.audio_base64] : []));
  }
  const source: "ephemeral_clone" | "default_voice" = data.voiceSource;
  return [data.audio_base64, source];
}

// @ts-expect-error there is no such routine
await client.POST("/perform", { body: { routine_type: "coins", value: "a penny" } });

type Settings = components["schemas"]["Settings"];
// @ts-expect-error a response has all settings
export const partial: Settings = { voice_language: "en" };
