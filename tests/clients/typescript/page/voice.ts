// The recording of the performer's own voice: from the microphone or a file, listened to, then uploaded.
import type { NewVisions } from "../client/index.js";
import { act, button, created, element, Hint, html, showError } from "./dom.js";
import { MAX_SECONDS, MIN_SECONDS, type Progress, Recorder } from "./recorder.js";

export function setUpVoice(client: NewVisions, onChanged: (hasRecording: boolean) => void) {
  const card = html("voice");
  const record = button("record");
  const stop = button("stop");
  const consent = element("consent", HTMLInputElement);
  const file = element("file", HTMLInputElement);
  const listen = element("listen", HTMLAudioElement);
  const details = element("recording-details", HTMLDetailsElement);
  let recorder: Recorder | undefined;
  let chosen: Blob | undefined;

  const show = async () => {
    const { hasSample, duration, uploaded_at } = await client.voice();
    const since = uploaded_at ? ` on ${new Date(uploaded_at).toLocaleDateString()}` : "";
    html("recording").textContent = hasSample
      ? `Recorded${since}: ${(duration ?? 0).toFixed(0)} s.`
      : "There is no recording of you yet. Half a minute is enough.";
    details.open = !hasSample;
    details.querySelector("summary")?.replaceChildren(hasSample ? "Record again" : "Record");
    button("delete-voice").hidden = !hasSample;
    onChanged(hasSample);
  };

  const showProgress = ({ seconds, level }: Progress) => {
    element("recorded", HTMLProgressElement).value = seconds;
    element("level", HTMLMeterElement).value = level;
    const whole = Math.floor(seconds);
    html("countdown").textContent =
      seconds < MIN_SECONDS
        ? `${whole} s. Speak for ${MIN_SECONDS - whole} s more.`
        : `${whole} s. That is enough; it stops by itself at ${MAX_SECONDS} s.`;
    stop.disabled = seconds < MIN_SECONDS;
    // Said again only when it changes: it is read aloud by screen readers.
    const hint = level > 0.98 ? "Too loud: move away from the microphone." : "";
    if (hint !== html("level-hint").textContent) {
      html("level-hint").textContent = hint;
    }
  };

  const review = (recording: Blob | undefined) => {
    chosen = recording;
    html("review").hidden = !recording;
    URL.revokeObjectURL(listen.src);
    if (recording) {
      listen.src = URL.createObjectURL(recording);
      button("upload").focus();
    } else {
      listen.removeAttribute("src");
      file.value = "";
    }
  };

  const showRecording = (isRecording: boolean) => {
    record.hidden = isRecording;
    html("choose").hidden = isRecording;
    stop.hidden = !isRecording;
    html("recording-now").hidden = !isRecording;
  };

  record.addEventListener("click", () => {
    review(undefined);
    void act(card, record, async () => {
      recorder = await Recorder.start(showProgress);
      showRecording(true);
      const recording = await recorder.recording;
      showRecording(false);
      review(recording);
    });
  });
  stop.addEventListener("click", () => recorder?.stop());
  file.addEventListener("change", () => {
    showError(card, undefined);
    review(file.files?.[0]);
  });
  button("discard").addEventListener("click", () => review(undefined));
  button("upload").addEventListener("click", () => {
    void act(card, button("upload"), async () => {
      if (!consent.checked) {
        consent.focus();
        throw new Hint("Tick the box first: a voice is cloned only if its speaker agrees.");
      }
      if (chosen) {
        const uploaded = await client.uploadVoice(chosen, { consent: true });
        const advice = "advice" in uploaded ? (uploaded.advice as { message: string }[]) : [];
        html("advice").replaceChildren(...advice.map(({ message }) => created("li", message)));
        html("advice").hidden = advice.length === 0;
        review(undefined);
        await show();
      }
    });
  });
  button("delete-voice").addEventListener("click", () => {
    void act(card, button("delete-voice"), async () => {
      await client.deleteVoice();
      html("advice").hidden = true;
      await show();
    });
  });

  return { refresh: () => void act(card, null, show) };
}
