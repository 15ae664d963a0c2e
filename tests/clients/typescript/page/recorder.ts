// Records the microphone, and tells how long and how loud while it does.
import { Hint } from "./dom.js";

/** The API takes 30 to 120 s of speech. A second more than it asks for, as browsers cut the ends. */
export const MIN_SECONDS = 31;
export const MAX_SECONDS = 60;

/** The first that the browser can record: Safari has no WebM. */
const MEDIA_TYPES = ["audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];

export interface Progress {
  seconds: number;
  /** 0–1: the loudest sample of the last moment. */
  level: number;
}

export class Recorder {
  private constructor(
    private readonly recorder: MediaRecorder,
    /** The recording, once it is stopped or long enough. */
    readonly recording: Promise<Blob>,
  ) {}

  /** Asks for the microphone and begins. Fails with a sentence for the person in front of it. */
  static async start(onProgress: (progress: Progress) => void): Promise<Recorder> {
    const stream = await microphone();
    const mimeType = MEDIA_TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    const recorder = new MediaRecorder(stream, { ...(mimeType && { mimeType }), audioBitsPerSecond: 128_000 });
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);

    const pieces: Blob[] = [];
    const started = performance.now();
    const ticking = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const level = samples.reduce((loudest, sample) => Math.max(loudest, Math.abs(sample)), 0);
      const seconds = (performance.now() - started) / 1000;
      onProgress({ seconds, level });
      if (seconds >= MAX_SECONDS && recorder.state === "recording") {
        recorder.stop();
      }
    }, 50);
    const recording = new Promise<Blob>((resolve) => {
      recorder.addEventListener("dataavailable", ({ data }) => void pieces.push(data));
      recorder.addEventListener("stop", () => {
        clearInterval(ticking);
        void context.close();
        for (const track of stream.getTracks()) {
          track.stop();
        }
        resolve(new Blob(pieces, { type: recorder.mimeType }));
      });
    });
    recorder.start();
    return new Recorder(recorder, recording);
  }

  stop() {
    if (this.recorder.state === "recording") {
      this.recorder.stop();
    }
  }
}

async function microphone(): Promise<MediaStream> {
  if (!navigator.mediaDevices || !("MediaRecorder" in globalThis)) {
    throw new Hint("This browser cannot record here. Choose a file instead.");
  }
  try {
    // What is made for calls would be heard in the clone.
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    const isDenied = error instanceof DOMException && error.name === "NotAllowedError";
    throw new Hint(
      isDenied
        ? "The browser may not use the microphone. Allow it for this page, or choose a file instead."
        : "No microphone can be used. Connect one, or choose a file instead.",
    );
  }
}
