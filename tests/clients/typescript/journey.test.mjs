// The page in a real Chromium, from registering to hearing, on a phone's and a desktop's screen. Run beside a backend:
// `cargo local with node --test journey.test.mjs`; CHROMIUM names the browser's program.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import axe from "axe-core";
import { chromium, devices } from "playwright-core";

const { API_URL, API_TOKEN, CHROMIUM = "/usr/bin/chromium" } = process.env;
const RECORDING = new URL("../../fixtures/recordings/speech-34s.webm", import.meta.url);
const PASSWORD = "correct horse battery staple";
/** Whatever is waited for comes; how soon is for the speed measurements to say. */
const PATIENCE = { timeout: 180_000 };
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

let folder;
let browser;
let codes;
let api;

/** Whether the backend has the voice made before the words are known. */
const hasCue = () => "/perform/{perform_id}" in api.paths;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "newvisions-page-"));
  const speech = join(folder, "speech.wav");
  await writeFile(speech, await decoded(await readFile(RECORDING)));
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [...FLAGS, "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
      `--use-file-for-fake-audio-capture=${speech}`],
  });
  const issued = await fetch(`${API_URL}/activation/codes`, {
    method: "POST",
    headers: { Authorization: `Bearer ${API_TOKEN}`, "Content-Type": "application/json" },
    body: JSON.stringify({ count: 2 }),
  });
  ({ codes } = await issued.json());
  api = await (await fetch(`${API_URL}/openapi.json`)).json();
});

after(async () => {
  await browser?.close();
  await rm(folder, { recursive: true, force: true });
});

/** A recording as the WAV file that Chromium's fake microphone plays. The browser itself decodes it. */
async function decoded(recording) {
  const decoder = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  try {
    const page = await decoder.newPage();
    await page.goto(API_URL);
    const pcm = await page.evaluate(async (base64) => {
      const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
      const sound = await new OfflineAudioContext(1, 48_000, 48_000).decodeAudioData(bytes.buffer);
      const samples = sound.getChannelData(0);
      let text = "";
      for (const sample of samples) {
        const value = Math.round(Math.max(-1, Math.min(1, sample)) * 32_767) & 0xffff;
        text += String.fromCharCode(value & 0xff, value >> 8);
      }
      return btoa(text);
    }, recording.toString("base64"));
    const data = Buffer.from(pcm, "base64");
    const header = Buffer.alloc(44);
    header.write("RIFF", 0);
    header.writeUInt32LE(36 + data.length, 4);
    header.write("WAVEfmt ", 8);
    header.writeUInt32LE(16, 16);
    header.writeUInt16LE(1, 20);
    header.writeUInt16LE(1, 22);
    header.writeUInt32LE(48_000, 24);
    header.writeUInt32LE(96_000, 28);
    header.writeUInt16LE(2, 32);
    header.writeUInt16LE(16, 34);
    header.write("data", 36);
    header.writeUInt32LE(data.length, 40);
    return Buffer.concat([header, data]);
  } finally {
    await decoder.close();
  }
}

/** A page of a browser of its own. What goes wrong in it fails the test. */
async function opened(t, options = {}, script = undefined) {
  const context = await browser.newContext({ locale: "en-GB", ...options });
  context.setDefaultTimeout(PATIENCE.timeout);
  t.after(() => context.close());
  if (script) {
    await context.addInitScript(script);
  }
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    // A refusal by the API is no fault of the page.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
      faults.push(message.text());
    }
  });
  return { page, faults };
}

/** Has the page note how loud the note is where it is heard. */
function listen(page) {
  return page.evaluate(() => {
    globalThis.loudness = 0;
    const audio = document.getElementById("audio");
    audio.addEventListener("playing", () => {
      const context = new AudioContext();
      const analyser = context.createAnalyser();
      context.createMediaStreamSource(audio.captureStream()).connect(analyser);
      const samples = new Float32Array(analyser.fftSize);
      setInterval(() => {
        analyser.getFloatTimeDomainData(samples);
        globalThis.loudness = Math.max(globalThis.loudness, ...samples.map(Math.abs));
      }, 20);
    });
  });
}

function isHeard(page) {
  return page.waitForFunction(
    () => globalThis.loudness > 0.001 && document.getElementById("audio").currentTime > 0, null, PATIENCE);
}

/** Nothing to be mended for those who cannot see, and nothing that is wider than the screen. */
async function assertAccessible(page, where) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join("; ")}`);
  assert.deepEqual(told, [], where);
  const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(tooWide, 0, `${where}: it scrolls sideways`);
}

/** Takes a screenshot where a folder for them is named. */
async function shot(page, name) {
  if (process.env.SCREENSHOTS) {
    await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), fullPage: true });
  }
}

/** Waits for what the light of the recording says. */
async function recordingLight(page, is) {
  if ("/perform/readiness" in api.paths) {
    await page.locator(`#lights .${is}`).filter({ hasText: /recording/i }).waitFor();
  }
}

async function voiceIsReady(page) {
  if (hasCue()) {
    await page.getByText("Your voice is ready.").waitFor();
  }
}

async function signIn(page, username) {
  await page.goto(API_URL);
  await page.getByRole("tab", { name: "Sign in" }).click();
  await page.getByLabel("Username or email").fill(username);
  await page.locator("#login").getByLabel("Password").fill(PASSWORD);
  await page.locator("#login").getByLabel("Password").press("Enter");
  await page.locator("#perform").waitFor();
}

const SCREENS = [
  { name: "phone", options: { ...devices["Pixel 7"], colorScheme: "dark" } },
  { name: "desktop", options: { viewport: { width: 1280, height: 900 }, colorScheme: "light" } },
];

describe("the page", { concurrency: true }, () => {
  for (const [at, { name, options }] of SCREENS.entries()) {
    test(`journey on a ${name}: from registering to hearing`, async (t) => {
      const { page, faults } = await opened(t, options);
      const username = `ada-${name}`;

      await page.goto(`${API_URL}/#code=${codes[at]}`);
      await assertAccessible(page, "before signing in");
      await shot(page, `${name}-1-welcome`);
      assert.equal(await page.getByLabel("Activation code").inputValue(), codes[at]);
      await page.getByLabel("Username", { exact: true }).fill("a!");
      await page.getByLabel("Email", { exact: true }).fill(`${username}@example.com`);
      await page.locator("#register").getByLabel("Password").fill(PASSWORD);
      const refused = page.waitForResponse((response) => response.url().endsWith("/auth/register"));
      await page.getByRole("button", { name: "Create the account" }).click();
      const problem = await (await refused).json();
      const alert = page.locator("#register").getByRole("alert");
      await alert.getByText(problem.detail, { exact: true }).waitFor();
      assert.deepEqual(problem.errors.map(({ field }) => field), ["username"]);
      assert.equal(await page.locator("#register [aria-invalid]").getAttribute("name"), "username");

      await page.getByLabel("Username", { exact: true }).fill(username);
      await page.getByLabel("Username", { exact: true }).press("Enter");
      await page.getByText("There is no recording of you yet.").waitFor();
      await recordingLight(page, "off");

      await page.getByRole("button", { name: "Record", exact: true }).click();
      // The meter moves: it is the microphone that is heard.
      await page.waitForFunction(() => document.getElementById("level").value > 0.05, null, PATIENCE);
      assert.ok(await page.getByRole("button", { name: "Stop" }).isDisabled(), "half a minute is needed");
      await shot(page, `${name}-2-recording`);
      await page.locator("#stop:enabled").click();
      await page.getByRole("button", { name: "Use this recording" }).click();
      await page.locator("#voice").getByRole("alert").getByText("Tick the box first").waitFor();
      await page.getByLabel("This is my own voice").check();
      await page.getByRole("button", { name: "Use this recording" }).click();
      await page.locator("#recording").getByText(/^Recorded .*: 3\d s\.$/).waitFor();
      await recordingLight(page, "on");

      await page.getByLabel("Language").selectOption({ label: "Spanish" });
      await page.getByLabel("Stability").fill("40");
      await page.getByRole("button", { name: "Save", exact: true }).click();
      await page.getByText("Saved.").waitFor();
      await page.reload();
      await page.waitForFunction(() => document.querySelector("[name=voice_stability]").value === "40", null, PATIENCE);
      assert.equal(await page.getByLabel("Language").inputValue(), "es");
      await assertAccessible(page, "signed in");
      await shot(page, `${name}-3-signed-in`);

      await page.getByRole("radio", { name: "Card" }).check();
      await page.getByRole("radio", { name: "Hearts" }).check();
      await page.locator("#tap").click();
      await page.locator("#perform").getByRole("alert").getByText("Choose the card's rank.").waitFor();
      await page.getByRole("radio", { name: "Q", exact: true }).check();
      await voiceIsReady(page);
      await shot(page, `${name}-4-cue`);
      await listen(page);
      await page.locator("#tap").click();
      await page.locator("#progress").getByText(/^First sound \d+\.\d s after the tap\.$/).waitFor();
      await isHeard(page);
      assert.notEqual((await page.locator("#said").textContent()).trim(), "");
      const receipt = page.locator("#receipt");
      await receipt.getByText("Voice deleted").waitFor();
      await receipt.getByText("your own").waitFor();
      await page.locator("#characters").getByText(/^[1-9]\d* of /).waitFor();
      await assertAccessible(page, "after performing");
      await shot(page, `${name}-5-note`);

      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByRole("tab", { name: "New here" }).waitFor();
      assert.equal(await page.evaluate(() => localStorage.length), 0);
      await signIn(page, username);
      assert.deepEqual(faults, []);
    });
  }

  // One account, one perform at a time.
  test("performing", async (t) => {
    await t.test("is heard when the note is whole, where a browser cannot play an MP3 that arrives", async (t) => {
      const { page, faults } = await opened(t, {}, () => {
        delete globalThis.MediaSource;
      });
      await signIn(page, "bess");
      await page.getByRole("radio", { name: "Name" }).check();
      await page.getByRole("textbox", { name: "Name", exact: true }).fill("Leonora");
      await listen(page);
      await page.getByRole("button", { name: "Perform" }).click();
      await isHeard(page);
      await page.locator("#receipt").getByText("Characters charged").waitFor();
      assert.deepEqual(faults, []);
    });

    await t.test("with the keyboard alone shows the API's own words where it refuses", async (t) => {
      const { page } = await opened(t);
      await signIn(page, "bess");
      await page.getByRole("radio", { name: "Card" }).focus();
      await page.keyboard.press("Space");
      // To the last routine but one, and on to the field that it opens.
      for (let step = 0; step < 7; step++) {
        await page.keyboard.press("ArrowRight");
      }
      await page.keyboard.press("Tab");
      const refused = page.waitForResponse((response) => /nazi/.test(response.request().postData() ?? ""));
      await page.keyboard.type("a fucking nazi");
      await page.keyboard.press("Enter");
      const { detail } = await (await refused).json();
      await page.locator("#perform").getByRole("alert").getByText(detail, { exact: true }).waitFor();
      assert.ok(await page.locator("#note").isHidden());
      // The voice still waits for other words; signing out puts it away.
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByRole("tab", { name: "New here" }).waitFor();
    });

    await t.test("after the voice was put away unused prepares another, and is heard", async (t) => {
      if (!hasCue()) {
        return t.skip("the backend knows no cue");
      }
      const { page, faults } = await opened(t);
      await signIn(page, "bess");
      await page.getByRole("radio", { name: "Star sign" }).check();
      await voiceIsReady(page);
      // Nothing is said until the server puts it away.
      await page.getByRole("button", { name: "Prepare the voice" }).click();
      await voiceIsReady(page);
      await listen(page);
      await page.getByRole("button", { name: "Perform" }).click();
      await isHeard(page);
      await page.locator("#receipt").getByText("Voice deleted").waitFor();
      return assert.deepEqual(faults, []);
    });
  });
});
