// A client of the New Visions API for a browser or Node.js, to be copied: typed by the API's description, without a
// dependency. It signs in and stays signed in, uploads the recording, performs, and hears a perform while it is made.
import { ApiError } from "./error.js";
import { performEvents } from "./events.js";
import { MemoryStore, Session } from "./session.js";
export { ApiError } from "./error.js";
export { MemoryStore } from "./session.js";
/** How often a perform whose answer was lost is asked for again, and how long it waits before. */
const MAX_REPETITIONS = 3;
const REPETITION_DELAY_MS = 1_000;
export class NewVisions {
    #baseUrl;
    #performUrl;
    #session;
    constructor({ baseUrl, performUrl = baseUrl, store = new MemoryStore(), onSignedOut = () => undefined }) {
        this.#baseUrl = baseUrl.replace(/\/$/, "");
        this.#performUrl = performUrl.replace(/\/$/, "");
        const exchange = async (refresh_token) => (await this.#fetch("POST", "/auth/refresh", { body: { refresh_token } })).json();
        this.#session = new Session(store, exchange, onSignedOut);
    }
    /** Who is signed in here, or null. */
    get user() {
        return this.#session.tokens;
    }
    async register(account) {
        this.#session.tokens = await (await this.#fetch("POST", "/auth/register", { body: account })).json();
    }
    async login(credentials) {
        this.#session.tokens = await (await this.#fetch("POST", "/auth/login", { body: credentials })).json();
    }
    /** Ends the session here and, if it can be reached, at the server. */
    async logout() {
        const ended = this.#session.tokens ? this.#send("POST", "/auth/logout") : Promise.resolve();
        await ended.catch(() => undefined);
        this.#session.tokens = null;
    }
    settings() {
        return this.#json("GET", "/users/me/settings");
    }
    saveSettings(settings) {
        return this.#json("PUT", "/users/me/settings", { body: settings });
    }
    voice() {
        return this.#json("GET", "/users/me/voice/meta");
    }
    /** Uploads a recording of the user's own voice; only with the speaker's consent to its being cloned. */
    uploadVoice(recording, { consent }) {
        const headers = {
            "Content-Type": recording.type || "application/octet-stream",
            ...(consent && { "X-Consent": "true" }),
        };
        return this.#json("POST", "/users/me/voice", { body: recording, headers });
    }
    async deleteVoice() {
        await this.#send("DELETE", "/users/me/voice");
    }
    usage() {
        return this.#json("GET", "/usage");
    }
    readiness() {
        return this.#json("GET", "/perform/readiness");
    }
    /** Performs, and tells what happens as it happens. A lost answer is asked for again with the same key. */
    perform(words, manner = {}, sending = {}) {
        return this.#perform({ ...words, ...manner }, sending);
    }
    /** Has the voice made before the words are known. */
    cue(manner = {}, sending = {}) {
        return new Cue(this.#perform({ cue: true, ...manner }, sending), async (id, words) => void (await this.#send("POST", `/perform/${id}`, { body: words })), async (id) => void (await this.#send("DELETE", `/perform/${id}`, { keepalive: true })));
    }
    async *#perform(body, { key = crypto.randomUUID(), signal }) {
        const headers = { Accept: "application/x-ndjson, application/json;q=0.5", "Idempotency-Key": key };
        for (let repetition = 0;; repetition++) {
            try {
                yield* performEvents(await this.#send("POST", "/perform", { body, headers, signal }));
                return;
            }
            catch (error) {
                const lost = error instanceof ApiError && (error.code === "incomplete" || error.code === "unreachable");
                if (!lost || signal?.aborted || repetition === MAX_REPETITIONS) {
                    throw error;
                }
                yield { event: "restarted" };
                await new Promise((resume) => setTimeout(resume, REPETITION_DELAY_MS));
            }
        }
    }
    async #json(method, path, request = {}) {
        return (await this.#send(method, path, request)).json();
    }
    /** Sends as the signed-in user; once more with fresh tokens if these were refused. */
    async #send(method, path, request = {}) {
        const token = this.#session.tokens?.access_token ?? "";
        try {
            return await this.#fetch(method, path, authorized(request, token));
        }
        catch (error) {
            if (!(error instanceof ApiError && error.code === "invalid_token" && token)) {
                throw error;
            }
            await this.#session.renew(token);
            return this.#fetch(method, path, authorized(request, this.#session.tokens?.access_token ?? ""));
        }
    }
    async #fetch(method, path, { body, headers, signal, keepalive }) {
        const base = path.startsWith("/perform") ? this.#performUrl : this.#baseUrl;
        const isBare = body === undefined || body instanceof Blob;
        const response = await fetch(base + path, {
            method,
            headers: { Accept: "application/json", ...(!isBare && { "Content-Type": "application/json" }), ...headers },
            ...(body !== undefined && { body: isBare ? body : JSON.stringify(body) }),
            ...(signal && { signal }),
            ...(keepalive && { keepalive }),
        }).catch((error) => {
            throw signal?.aborted ? error : ApiError.unreachable();
        });
        if (!response.ok) {
            throw await ApiError.from(response);
        }
        return response;
    }
}
function authorized(request, token) {
    return token ? { ...request, headers: { ...request.headers, Authorization: `Bearer ${token}` } } : request;
}
/**
 * A perform whose voice is made before its words are known. Its events must be read, once and by one reader: that
 * reading also tells it when the voice is ready.
 */
export class Cue {
    events;
    give;
    drop;
    #isReady = () => undefined;
    #isOver = () => undefined;
    #performId = new Promise((resolve, reject) => {
        this.#isReady = resolve;
        this.#isOver = reject;
    });
    #words;
    constructor(events, give, drop) {
        this.events = events;
        this.give = give;
        this.drop = drop;
        // Whoever speaks or withdraws hears of it; the reader of the events does anyway.
        this.#performId.catch(() => undefined);
    }
    /** Gives the words, as soon as the voice is ready. Words that the API refuses leave the cue waiting for others. */
    async speak(words) {
        await this.give(await this.#performId, words);
        this.#words = words;
    }
    /** Has the voice deleted unused, as soon as it is there. Nothing is charged. */
    async withdraw() {
        await this.drop(await this.#performId);
    }
    async *[Symbol.asyncIterator]() {
        try {
            for await (const event of this.events) {
                if (event.event === "ready") {
                    this.#isReady(event.perform_id);
                    if (this.#words) {
                        // A lost answer was asked for again, and the perform began anew.
                        await this.give(event.perform_id, this.#words);
                    }
                }
                yield event;
            }
            this.#isOver(ApiError.incomplete());
        }
        catch (error) {
            this.#isOver(error);
            throw error;
        }
    }
}
