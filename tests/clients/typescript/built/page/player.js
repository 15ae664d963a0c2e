// Plays an MP3 while it arrives, where the browser can (Media Source Extensions), and otherwise when it is whole.
const MEDIA_TYPE = "audio/mpeg";
function streamingSource() {
    const Source = typeof ManagedMediaSource === "undefined" ? globalThis.MediaSource : ManagedMediaSource;
    // Firefox plays MP3, but not from a MediaSource.
    return Source?.isTypeSupported(MEDIA_TYPE) ? new Source() : undefined;
}
export class Player {
    audio;
    onSound;
    #source = streamingSource();
    #received = [];
    #url;
    #waiting = [];
    #buffer;
    #isWhole = false;
    /**
     * To be made inside the tap: a browser lets sound begin only then.
     * `onSound` is called when the first of it is heard.
     */
    constructor(audio, onSound) {
        this.audio = audio;
        this.onSound = onSound;
        // Apple's ManagedMediaSource refuses to open otherwise.
        audio.disableRemotePlayback = true;
        this.#url = URL.createObjectURL(this.#source ?? silence());
        if (this.#source) {
            this.#source.addEventListener("sourceopen", () => this.#open(), { once: true });
            audio.addEventListener("playing", onSound, { once: true });
        }
        audio.src = this.#url;
        this.#play();
    }
    append(bytes) {
        this.#received.push(bytes);
        this.#waiting.push(bytes);
        this.#feed();
    }
    /** The take is whole. Returns all of it. */
    finish() {
        this.#isWhole = true;
        const whole = new Blob(this.#received, { type: MEDIA_TYPE });
        if (this.#source) {
            this.#feed();
        }
        else {
            this.audio.addEventListener("playing", this.onSound, { once: true });
            this.audio.src = URL.createObjectURL(whole);
            this.#play();
        }
        return whole;
    }
    /** What was heard is to be thrown away. */
    discard() {
        this.audio.removeEventListener("playing", this.onSound);
        this.audio.pause();
        this.audio.removeAttribute("src");
        this.audio.load();
        URL.revokeObjectURL(this.#url);
    }
    #open() {
        this.#buffer = this.#source?.addSourceBuffer(MEDIA_TYPE);
        this.#buffer?.addEventListener("updateend", () => this.#feed());
        this.#feed();
    }
    /** A buffer takes one piece at a time. */
    #feed() {
        if (!this.#buffer || this.#buffer.updating || this.#source?.readyState !== "open") {
            return;
        }
        const next = this.#waiting.shift();
        if (next) {
            this.#buffer.appendBuffer(next);
        }
        else if (this.#isWhole) {
            this.#source.endOfStream();
        }
    }
    #play() {
        // Refused by a browser that did not see the tap, or ended by `discard`: the controls are there to press.
        void this.audio.play().catch(() => undefined);
    }
}
/** A tenth of a second of nothing. Played inside the tap, it lets the element play the note later. */
function silence() {
    const samples = 800;
    const wav = new DataView(new ArrayBuffer(44 + samples));
    const ascii = (at, text) => [...text].forEach((c, i) => void wav.setUint8(at + i, c.charCodeAt(0)));
    ascii(0, "RIFF");
    wav.setUint32(4, 36 + samples, true);
    ascii(8, "WAVEfmt ");
    wav.setUint32(16, 16, true);
    wav.setUint16(20, 1, true);
    wav.setUint16(22, 1, true);
    wav.setUint32(24, 8_000, true);
    wav.setUint32(28, 8_000, true);
    wav.setUint16(32, 1, true);
    wav.setUint16(34, 8, true);
    ascii(36, "data");
    wav.setUint32(40, samples, true);
    // 8-bit PCM is unsigned: silence is its middle.
    new Uint8Array(wav.buffer, 44).fill(128);
    return new Blob([wav], { type: "audio/wav" });
}
