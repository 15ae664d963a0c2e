import { act, button, created, html } from "./dom.js";
export function setUpReadiness(client) {
    const card = html("readiness");
    const again = button("check-again");
    const refresh = () => act(card, again, async () => {
        const { ready, checks, expected_seconds } = await client.readiness();
        const expected = expected_seconds === null ? "" : ` A perform takes about ${expected_seconds.toFixed(1)} s.`;
        html("readiness-summary").textContent = (ready ? "Everything is ready." : "Not yet.") + expected;
        html("lights").replaceChildren(...checks.map(({ name, ok, detail }) => {
            const light = created("li");
            light.className = ok ? "on" : "off";
            // Not by its colour alone.
            const words = created("span", name.replaceAll("_", " "));
            const state = created("span", ok ? ": ready" : ": not ready");
            state.className = "unseen";
            words.append(state);
            light.append(words, created("small", detail));
            return light;
        }));
    });
    again.addEventListener("click", () => void refresh());
    return { refresh: () => void refresh() };
}
