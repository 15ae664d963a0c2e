import { act, element, html } from "./dom.js";
export function setUpUsage(client) {
    const show = (name, used, limit) => {
        html(name).textContent = `${used.toLocaleString()} of ${limit.toLocaleString()}`;
        const bar = element(`${name}-bar`, HTMLProgressElement);
        bar.max = Math.max(limit, 1);
        bar.value = used;
    };
    return {
        refresh: () => void act(html("usage"), null, async () => {
            const usage = await client.usage();
            show("characters", usage.charCount, usage.monthlyLimit);
            show("clones", usage.clonesUsed, usage.clonesLimit);
            const resets = new Date(usage.resetsAt).toLocaleDateString(undefined, { day: "numeric", month: "long" });
            html("resets").textContent = `Starts anew on ${resets}. A character costs ${usage.costFactor} with ${usage.model}.`;
        }),
    };
}
