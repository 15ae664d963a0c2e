import { act, button, element, html, showError } from "./dom.js";
import { Note } from "./note.js";
import { PreparedVoice } from "./prepared_voice.js";
import { enteredWords, setUpRoutines } from "./routines.js";
export function setUpPerform(client, onPerformed) {
    const form = element("perform", HTMLFormElement);
    let hasRecording = false;
    let prepared;
    const prepare = () => {
        if (hasRecording && !button("tap").disabled && !prepared?.isWaiting) {
            prepared = new PreparedVoice(client.cue());
        }
    };
    setUpRoutines(prepare);
    button("prepare").addEventListener("click", prepare);
    form.addEventListener("input", () => showError(form, undefined));
    form.addEventListener("submit", (event) => {
        event.preventDefault();
        let words;
        try {
            words = enteredWords();
        }
        catch (missing) {
            showError(form, missing);
            return;
        }
        // Now, and not after an await: sound may only begin inside the tap.
        const note = new Note();
        void act(form, button("tap"), async () => {
            try {
                await perform(words, note);
            }
            catch (error) {
                note.discard();
                throw error;
            }
            finally {
                onPerformed();
            }
        });
    });
    async function perform(words, note) {
        if (prepared?.isWaiting && (await prepared.speak(words, note))) {
            return;
        }
        for await (const event of client.perform(words)) {
            note.show(event);
        }
    }
    return {
        /** Without a recording there is nothing to perform with. */
        setHasRecording(has) {
            hasRecording = has;
            html("perform-card").hidden = !has;
        },
        /** The performer leaves. */
        close: async () => prepared?.withdraw(),
    };
}
