// A voice that is made while the spectator still thinks, and put away if it is not used.
import { ApiError, type Cue, type Words } from "../client/index.js";
import { button, element, html } from "./dom.js";
import type { Note } from "./note.js";

/** A server that knows no cue says so with one of these. A perform then makes its voice itself. */
const WITHOUT_CUE: readonly ApiError["code"][] = ["invalid_request", "not_found", "unexpected_response"];

export class PreparedVoice {
  #state: "waiting" | "speaking" | "over" = "waiting";
  #isReady = false;
  #note: Note | undefined;
  #countdown: ReturnType<typeof setInterval> | undefined;
  readonly #ended: Promise<void>;

  constructor(private readonly cue: Cue) {
    this.#tell("Your voice is being made…");
    this.#ended = this.#follow();
    // Awaited by `speak`; where nobody speaks, the status line says why it ended.
    this.#ended.catch(() => undefined);
  }

  /** Whether it still takes words. */
  get isWaiting(): boolean {
    return this.#state === "waiting";
  }

  /** Speaks, to the end of the perform. False if the voice was gone before it could begin. */
  async speak(words: Words, note: Note): Promise<boolean> {
    this.#note = note;
    this.#state = "speaking";
    try {
      await this.cue.speak(words);
      this.#stopCountdown();
      await this.#ended;
      return true;
    } catch (error) {
      this.#note = undefined;
      if (error instanceof ApiError && error.status === 422) {
        // Other words may still be given.
        this.#state = "waiting";
        throw error;
      }
      this.#end("");
      if (isGone(error) && !note.hasBegun) {
        return false;
      }
      throw error;
    }
  }

  /** Has it deleted unused. Waits for that only if it is there already. */
  async withdraw(): Promise<void> {
    if (this.isWaiting) {
      this.#end("");
      const withdrawn = this.cue.withdraw().catch(() => undefined);
      await (this.#isReady ? withdrawn : undefined);
    }
  }

  async #follow() {
    try {
      for await (const event of this.cue) {
        if (this.#state === "over") {
          return;
        }
        this.#isReady ||= event.event === "ready";
        if (event.event === "ready" && this.isWaiting) {
          this.#tell("Your voice is ready.");
          this.#startCountdown(event.expires_in);
        } else if (event.event === "failed" && !this.#note) {
          this.#end(event.detail);
          return;
        } else {
          this.#note?.show(event);
        }
      }
      this.#end("");
    } catch (error) {
      if (error instanceof ApiError && WITHOUT_CUE.includes(error.code)) {
        this.#end("", false);
      } else {
        this.#end(error instanceof ApiError && !this.#note ? error.detail : "");
      }
      throw error;
    }
  }

  #end(why: string, canBeginAgain = true) {
    if (this.#state === "over") {
      // The line may speak of another voice by now.
      return;
    }
    this.#state = "over";
    this.#stopCountdown();
    this.#tell(why);
    button("prepare").hidden = !canBeginAgain;
  }

  #tell(what: string) {
    html("cue").textContent = what;
    button("prepare").hidden = true;
  }

  #startCountdown(seconds: number) {
    const bar = element("cue-left", HTMLProgressElement);
    const until = performance.now() + seconds * 1000;
    bar.hidden = false;
    bar.max = seconds;
    const show = () => {
      bar.value = Math.max(0, (until - performance.now()) / 1000);
    };
    show();
    this.#countdown = setInterval(show, 200);
  }

  #stopCountdown() {
    clearInterval(this.#countdown);
    element("cue-left", HTMLProgressElement).hidden = true;
  }
}

/** The clone was deleted before its words came, or the server knows no cue. */
function isGone(error: unknown): boolean {
  if (!(error instanceof ApiError)) {
    return false;
  }
  return [404, 409].includes(error.status) || [...WITHOUT_CUE, "cue_expired"].includes(error.code);
}
