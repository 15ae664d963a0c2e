// The few things that every part of the page does with the document.
import { ApiError } from "../client/index.js";
/** Something that the person in front of the page can put right, said to them. */
export class Hint extends Error {
}
/** The element with this id, which must be of this type. */
export function element(id, type) {
    const found = document.getElementById(id);
    if (!(found instanceof type)) {
        throw new Error(`The page has no ${type.name} #${id}.`);
    }
    return found;
}
export const button = (id) => element(id, HTMLButtonElement);
export const html = (id) => element(id, HTMLElement);
/** A new element with this text. */
export function created(tag, text = "") {
    const made = document.createElement(tag);
    made.textContent = text;
    return made;
}
/**
 * Does what somebody asked for in a card or form: its error is shown there, and until the end `pressed` cannot be
 * pressed again.
 */
export async function act(within, pressed, work) {
    showError(within, undefined);
    if (pressed) {
        pressed.disabled = true;
    }
    try {
        await work();
    }
    catch (error) {
        showError(within, error);
    }
    finally {
        if (pressed) {
            pressed.disabled = false;
        }
    }
}
/** Shows why something failed, in the API's own words; or takes away what was shown. */
export function showError(within, error) {
    const place = within.querySelector(".error");
    if (!place) {
        return;
    }
    place.replaceChildren();
    for (const field of within.querySelectorAll("[aria-invalid]")) {
        field.removeAttribute("aria-invalid");
    }
    place.hidden = error === undefined;
    if (error === undefined) {
        return;
    }
    if (!(error instanceof ApiError)) {
        if (!(error instanceof Hint)) {
            console.error(error);
        }
        place.append(created("p", error instanceof Error ? error.message : String(error)));
        return;
    }
    place.append(created("p", error.detail));
    for (const { field } of error.errors) {
        within.querySelector(`[name="${CSS.escape(field)}"]`)?.setAttribute("aria-invalid", "true");
    }
    // The sentence often says it all.
    const further = error.errors.filter(({ message }) => !error.detail.includes(message));
    if (further.length > 0) {
        const list = created("ul");
        list.append(...further.map(({ field, message }) => created("li", `${field} ${message}`.trim())));
        place.append(list);
    }
}
/** A group of radio buttons that look like chips. */
export function chips(container, name, choices) {
    container.replaceChildren(...choices.map(([value, text]) => {
        const label = created("label");
        const input = created("input");
        Object.assign(input, { type: "radio", name, value });
        label.append(input, created("span", text));
        return label;
    }));
}
/** The value of the chosen radio button of that name, or an empty string. */
export function chosen(name) {
    return document.querySelector(`input[name="${name}"]:checked`)?.value ?? "";
}
