// The voice note of one tap: what is said, its sound as it comes, and the receipt.
import type { Done, PerformEvent, Restarted } from "../client/index.js";
import { ApiError } from "../client/index.js";
import { created, element, html } from "./dom.js";
import { Player } from "./player.js";

export class Note {
  readonly #tapped = performance.now();
  readonly #audio = element("audio", HTMLAudioElement);
  readonly #said = html("said");
  readonly #save = element("save", HTMLAnchorElement);
  #player = this.#newPlayer();
  #firstSound: number | undefined;
  #filename = "";
  /** Whether anything of it was spoken. */
  hasBegun = false;

  /** To be made inside the tap. */
  constructor() {
    html("note").hidden = false;
    html("receipt").hidden = true;
    this.#save.hidden = true;
    this.#said.hidden = true;
    this.#tell("Dreaming…");
    html("note").scrollIntoView({ block: "nearest" });
  }

  /** Shows what happened. Fails where the note did. */
  show(event: PerformEvent | Restarted) {
    switch (event.event) {
      case "take":
        this.hasBegun = true;
        this.#filename = event.filename;
        this.#said.textContent = event.text;
        this.#said.hidden = false;
        break;
      case "audio":
        this.#player.append(event.bytes);
        break;
      case "spoken":
        URL.revokeObjectURL(this.#save.href);
        this.#save.href = URL.createObjectURL(this.#player.finish());
        this.#save.download = this.#filename;
        this.#save.hidden = false;
        break;
      case "restarted":
        this.#player.discard();
        this.#player = this.#newPlayer();
        this.#tell("The connection broke. Asking again…");
        break;
      case "failed":
        throw new ApiError(0, event.code as ApiError["code"], event.detail);
      case "done":
        this.#showReceipt(event);
        break;
    }
  }

  discard() {
    this.#player.discard();
    html("note").hidden = true;
  }

  #newPlayer(): Player {
    return new Player(this.#audio, () => {
      this.#firstSound ??= (performance.now() - this.#tapped) / 1000;
      this.#tell(`First sound ${this.#firstSound.toFixed(1)} s after the tap.`);
    });
  }

  #tell(progress: string) {
    html("progress").textContent = progress;
  }

  #showReceipt({ receipt, voiceSource, charsUsedEffective }: Done) {
    const time = (at: string) => new Date(at).toLocaleTimeString();
    const rows: [string, string][] = [];
    if (receipt) {
      const { clone_created_at: made, clone_deleted_at: deleted, history_deleted } = receipt;
      rows.push(["Voice made", time(made)]);
      rows.push(["Voice deleted", deleted ? time(deleted) : "not yet; the sweep does it"]);
      if (deleted) {
        rows.push(["It existed for", `${((Date.parse(deleted) - Date.parse(made)) / 1000).toFixed(1)} s`]);
      }
      rows.push(["Provider's copy of the note", history_deleted ? "deleted" : "not deleted"]);
    }
    rows.push(["Voice", voiceSource === "ephemeral_clone" ? "your own" : "the stock voice"]);
    rows.push(["Characters charged", charsUsedEffective.toLocaleString()]);
    html("receipt").replaceChildren(...rows.flatMap(([term, value]) => [created("dt", term), created("dd", value)]));
    html("receipt").hidden = false;
  }
}
