// What a perform tells while it runs: one JSON object a line (`application/x-ndjson`), or one JSON document at its end
// from a server that does not stream. Both are read into the same events.
import { ApiError } from "./error.js";
import type { Problem, Routine, Success } from "./types.js";

type Performed = Success<"perform">;
type SingleTake = Extract<Performed, { audio_base64: string }>;

/** What became of the clone. */
export type Receipt = NonNullable<Performed["receipt"]>;

/** A cue's clone exists and waits for its words. */
export interface Ready {
  event: "ready";
  perform_id: string;
  /** Seconds until it is deleted unused. */
  expires_in: number;
}

/** What a take says. Its audio follows. */
export interface Take {
  event: "take";
  take: number;
  routine_type: Routine | null;
  text: string;
  filename: string;
  thoughtSource: SingleTake["thoughtSource"];
  media_type: string;
}

/** The next bytes of a take's MP3. Takes may interleave. */
export interface Audio {
  event: "audio";
  take: number;
  bytes: Uint8Array<ArrayBuffer>;
}

/** A take is whole. */
export interface Spoken {
  event: "spoken";
  take: number;
  bytes: number;
  backgroundSound: SingleTake["backgroundSound"];
}

/** A take failed, or the whole perform where there is no `take`. What came of it is to be thrown away. */
export interface Failed {
  event: "failed";
  take?: number;
  code: Problem["code"] | "cue_expired";
  detail: string;
}

/** The clone is deleted and the characters are charged. */
export interface Done {
  event: "done";
  charCount: number;
  monthlyLimit: number;
  voiceSource: Performed["voiceSource"];
  charsUsedRaw: number;
  charsUsedEffective: number;
  /** Null where there was no clone. */
  receipt: Receipt | null;
  request_id: string;
}

/** Said by this client: the answer was lost and is asked for again, so what came so far is to be thrown away. */
export interface Restarted {
  event: "restarted";
}

export type PerformEvent = Ready | Take | Audio | Spoken | Failed | Done;

/** The events of a perform's answer. Fails with `incomplete` where the answer ends before the perform does. */
export async function* performEvents(response: Response): AsyncGenerator<PerformEvent> {
  if (!response.headers.get("content-type")?.startsWith("application/x-ndjson")) {
    yield* eventsOfDocument(await document(response));
    return;
  }
  for await (const line of lines(response)) {
    const event = JSON.parse(line) as PerformEvent | { event: "audio"; take: number; data: string };
    if (event.event === "audio" && "data" in event) {
      yield { event: "audio", take: event.take, bytes: fromBase64(event.data) };
    } else {
      yield event as PerformEvent;
    }
    if (event.event === "done" || (event.event === "failed" && event.take === undefined)) {
      return;
    }
  }
  throw ApiError.incomplete();
}

/** The lines of a body. One that was cut off in the middle is left out. */
async function* lines(response: Response): AsyncGenerator<string> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) {
    return;
  }
  // The pieces of a line are joined once it ends: a take that comes in one piece is hundreds of kilobytes long.
  const line: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(() => {
        throw ApiError.incomplete();
      });
      if (done) {
        return;
      }
      const [rest = "", ...further] = value.split("\n");
      line.push(rest);
      for (const next of further) {
        const whole = line.splice(0, line.length, next).join("");
        if (whole.trim() !== "") {
          yield whole;
        }
      }
    }
  } finally {
    // Whoever stops reading lets the connection go.
    void reader.cancel().catch(() => undefined);
  }
}

async function document(response: Response): Promise<Performed> {
  try {
    return await response.json();
  } catch {
    throw ApiError.incomplete();
  }
}

function* eventsOfDocument(document: Performed): Generator<PerformEvent> {
  const takes = "takes" in document ? document.takes : [{ ...document, status: "ok" as const }];
  for (const [take, result] of takes.entries()) {
    if (!("audio_base64" in result)) {
      yield { event: "failed", take, code: result.code as Problem["code"], detail: result.detail };
      continue;
    }
    const { routine_type, text, filename, thoughtSource, backgroundSound } = result;
    const bytes = fromBase64(result.audio_base64);
    yield { event: "take", take, routine_type, text, filename, thoughtSource, media_type: "audio/mpeg" };
    yield { event: "audio", take, bytes };
    yield { event: "spoken", take, bytes: bytes.length, backgroundSound };
  }
  const { charCount, monthlyLimit, voiceSource, charsUsedRaw, charsUsedEffective, request_id } = document;
  const receipt = document.receipt ?? null;
  yield { event: "done", charCount, monthlyLimit, voiceSource, charsUsedRaw, charsUsedEffective, receipt, request_id };
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
