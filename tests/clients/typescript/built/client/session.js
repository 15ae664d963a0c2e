// The tokens of the signed-in user, and their renewal: one at a time, however many requests find theirs expired.
import { ApiError } from "./error.js";
/** Keeps the tokens as long as the page lives. */
export class MemoryStore {
    #tokens = null;
    get() {
        return this.#tokens;
    }
    set(tokens) {
        this.#tokens = tokens;
    }
}
export class Session {
    store;
    exchange;
    onEnded;
    #renewal;
    constructor(store, 
    /** Exchanges a refresh token at the API. */
    exchange, 
    /** Called once the server has ended the session. */
    onEnded) {
        this.store = store;
        this.exchange = exchange;
        this.onEnded = onEnded;
    }
    get tokens() {
        return this.store.get();
    }
    set tokens(tokens) {
        this.store.set(tokens);
    }
    /** Replaces the tokens of which the access token was refused. Fails with why it cannot. */
    async renew(refused) {
        // Another request or another tab may have done it already.
        if (this.tokens?.access_token !== refused) {
            return;
        }
        this.#renewal ??= this.#renew().finally(() => {
            this.#renewal = undefined;
        });
        await this.#renewal;
    }
    async #renew() {
        const before = this.tokens;
        if (!before) {
            return;
        }
        try {
            this.tokens = await this.exchange(before.refresh_token);
        }
        catch (error) {
            // Only a refusal ends the session. A lost answer does not: the server takes the same token again for a while.
            // If another tab has meanwhile stored fresh tokens, those stand.
            if (error instanceof ApiError && error.status === 401 && this.tokens?.refresh_token === before.refresh_token) {
                this.tokens = null;
                this.onEnded();
            }
            throw error;
        }
    }
}
