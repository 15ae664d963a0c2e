import { act, element, html } from "./dom.js";
/** Languages that are offered first: the thoughts have their own wording in them. */
const LANGUAGES = ["en", "es", "fr", "de", "it", "pt"];
const OTHER_LANGUAGES = [
    "ar", "bg", "cs", "da", "el", "fi", "hi", "hr", "hu", "id", "ja", "ko", "ms", "nl", "no", "pl", "ro", "ru", "sk", "sv",
    "ta", "tr", "uk", "vi", "zh",
];
export function setUpSettings(client) {
    const form = element("settings", HTMLFormElement);
    const saved = html("saved");
    const field = (name) => form.elements.namedItem(name);
    const box = (name) => form.elements.namedItem(name);
    const languages = new Intl.DisplayNames(undefined, { type: "language" });
    const options = [...LANGUAGES, ...OTHER_LANGUAGES].map((code) => new Option(languages.of(code) ?? code, code));
    field("voice_language").append(...options);
    const showNumbers = () => {
        for (const output of form.querySelectorAll("output")) {
            output.value = element(output.htmlFor.value, HTMLInputElement).value;
        }
    };
    form.addEventListener("input", () => {
        showNumbers();
        saved.textContent = "";
    });
    const show = (settings) => {
        if (!options.some(({ value }) => value === settings.voice_language)) {
            field("voice_language").append(new Option(languages.of(settings.voice_language), settings.voice_language));
        }
        field("voice_language").value = settings.voice_language;
        field("speaker_sex").value = settings.speaker_sex;
        field("voice_stability").value = String(settings.voice_stability);
        field("voice_similarity").value = String(settings.voice_similarity);
        box("background_sound").checked = settings.background_sound;
        field("background_volume").value = String(settings.background_volume);
        field("voice_note_name").value = settings.voice_note_name ?? "";
        field("voice_note_date").value = settings.voice_note_date ?? "";
        box("voice_note_name_default").checked = settings.voice_note_name_default;
        showNumbers();
    };
    form.addEventListener("submit", (event) => {
        event.preventDefault();
        void act(form, form.querySelector("button"), async () => {
            saved.textContent = "";
            const settings = await client.saveSettings({
                voice_language: field("voice_language").value,
                speaker_sex: field("speaker_sex").value,
                voice_stability: Number(field("voice_stability").value),
                voice_similarity: Number(field("voice_similarity").value),
                background_sound: box("background_sound").checked,
                background_volume: Number(field("background_volume").value),
                voice_note_name: field("voice_note_name").value || null,
                voice_note_date: field("voice_note_date").value || null,
                voice_note_name_default: box("voice_note_name_default").checked,
            });
            show(settings);
            saved.textContent = "Saved.";
        });
    });
    return { refresh: () => void act(form, null, async () => show(await client.settings())) };
}
