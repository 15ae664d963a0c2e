// The tokens of the signed-in user, and their renewal: one at a time, however many requests find theirs expired.
import { ApiError } from "./error.js";
import type { Tokens } from "./types.js";

/** Where the tokens are kept. Tabs that share one share the session. */
export interface TokenStore {
  get(): Tokens | null;
  set(tokens: Tokens | null): void;
}

/** Keeps the tokens as long as the page lives. */
export class MemoryStore implements TokenStore {
  #tokens: Tokens | null = null;

  get(): Tokens | null {
    return this.#tokens;
  }

  set(tokens: Tokens | null): void {
    this.#tokens = tokens;
  }
}

export class Session {
  #renewal: Promise<void> | undefined;

  constructor(
    private readonly store: TokenStore,
    /** Exchanges a refresh token at the API. */
    private readonly exchange: (refreshToken: string) => Promise<Tokens>,
    /** Called once the server has ended the session. */
    private readonly onEnded: () => void,
  ) {}

  get tokens(): Tokens | null {
    return this.store.get();
  }

  set tokens(tokens: Tokens | null) {
    this.store.set(tokens);
  }

  /** Replaces the tokens of which the access token was refused. Fails with why it cannot. */
  async renew(refused: string): Promise<void> {
    // Another request or another tab may have done it already.
    if (this.tokens?.access_token !== refused) {
      return;
    }
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = undefined;
    });
    await this.#renewal;
  }

  async #renew(): Promise<void> {
    const before = this.tokens;
    if (!before) {
      return;
    }
    try {
      this.tokens = await this.exchange(before.refresh_token);
    } catch (error) {
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
