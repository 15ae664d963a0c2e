// What a perform tells while it runs: one JSON object a line (`application/x-ndjson`), or one JSON document at its end
// from a server that does not stream. Both are read into the same events.
import { ApiError } from "./error.js";
/** The events of a perform's answer. Fails with `incomplete` where the answer ends before the perform does. */
export async function* performEvents(response) {
    if (!response.headers.get("content-type")?.startsWith("application/x-ndjson")) {
        yield* eventsOfDocument(await document(response));
        return;
    }
    for await (const line of lines(response)) {
        const event = JSON.parse(line);
        if (event.event === "audio" && "data" in event) {
            yield { event: "audio", take: event.take, bytes: fromBase64(event.data) };
        }
        else {
            yield event;
        }
        if (event.event === "done" || (event.event === "failed" && event.take === undefined)) {
            return;
        }
    }
    throw ApiError.incomplete();
}
/** The lines of a body. One that was cut off in the middle is left out. */
async function* lines(response) {
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    if (!reader) {
        return;
    }
    // The pieces of a line are joined once it ends: a take that comes in one piece is hundreds of kilobytes long.
    const line = [];
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
    }
    finally {
        // Whoever stops reading lets the connection go.
        void reader.cancel().catch(() => undefined);
    }
}
async function document(response) {
    try {
        return await response.json();
    }
    catch {
        throw ApiError.incomplete();
    }
}
function* eventsOfDocument(document) {
    const takes = "takes" in document ? document.takes : [{ ...document, status: "ok" }];
    for (const [take, result] of takes.entries()) {
        if (!("audio_base64" in result)) {
            yield { event: "failed", take, code: result.code, detail: result.detail };
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
function fromBase64(text) {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
