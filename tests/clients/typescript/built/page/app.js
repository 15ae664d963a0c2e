// The page at the root of `cargo local`: it shows what the API is for, and how its client is used.
import { NewVisions } from "../client/index.js";
import { setUpAccount } from "./account.js";
import { button, html } from "./dom.js";
import { setUpPerform } from "./perform.js";
import { setUpReadiness } from "./readiness.js";
import { setUpSettings } from "./settings.js";
import { setUpUsage } from "./usage.js";
import { setUpVoice } from "./voice.js";
/** Shared by the tabs of this browser, and there after a reload. */
class BrowserStore {
    get() {
        return JSON.parse(localStorage.getItem("tokens") ?? "null");
    }
    set(tokens) {
        if (tokens) {
            localStorage.setItem("tokens", JSON.stringify(tokens));
        }
        else {
            localStorage.removeItem("tokens");
        }
    }
}
const client = new NewVisions({ baseUrl: location.origin, store: new BrowserStore(), onSignedOut: showAccount });
const account = setUpAccount(client, () => {
    showSignedIn();
    // The form that had the focus is gone.
    html("main").focus();
});
const readiness = setUpReadiness(client);
const usage = setUpUsage(client);
const settings = setUpSettings(client);
const performing = setUpPerform(client, () => {
    readiness.refresh();
    usage.refresh();
});
const voice = setUpVoice(client, (hasRecording) => {
    performing.setHasRecording(hasRecording);
    readiness.refresh();
});
button("sign-out").addEventListener("click", async () => {
    await performing.close();
    await client.logout();
    showAccount();
});
// A voice that waits for its words is not left waiting.
addEventListener("pagehide", () => void performing.close());
// Another tab signed in or out.
addEventListener("storage", ({ key }) => key === "tokens" && showCurrent());
function showCurrent() {
    if (client.user) {
        showSignedIn();
    }
    else {
        showAccount();
    }
}
function showAccount() {
    void performing.close();
    html("welcome").hidden = false;
    html("signed-in").hidden = true;
    html("who").hidden = true;
    account.show();
}
function showSignedIn() {
    html("welcome").hidden = true;
    html("signed-in").hidden = false;
    html("who").hidden = false;
    html("username").textContent = client.user?.username ?? "";
    voice.refresh();
    usage.refresh();
    settings.refresh();
}
showCurrent();
