// The client against a server that answers as the API does, or as a bad connection does: `node --test client.test.mjs`.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { ApiError, MemoryStore, NewVisions } from "./built/client/index.js";

const MP3 = Buffer.from("the bytes of an MP3, of which one is 0xFF: \xff", "latin1");
const TAKE = { event: "take", take: 0, routine_type: "cards", text: "«Die Königin»", filename: "cards.mp3",
  thoughtSource: "gemini", media_type: "audio/mpeg" };
const AUDIO = { event: "audio", take: 0, data: MP3.toString("base64") };
const SPOKEN = { event: "spoken", take: 0, bytes: MP3.length, backgroundSound: "off" };
const DONE = { event: "done", charCount: 12, monthlyLimit: 100, voiceSource: "ephemeral_clone", charsUsedRaw: 24,
  charsUsedEffective: 12, receipt: null, request_id: "r-1" };
const WORDS = { routine_type: "cards", value: "Q of Hearts" };

const tokens = (name) => ({ user_id: "1", username: "ada", email: "ada@example.com", token_type: "Bearer",
  access_token: `access-${name}`, refresh_token: `refresh-${name}`, expires_in: 3600 });
const ndjson = (...events) => events.map((event) => `${JSON.stringify(event)}\n`).join("");

/** Serves `routes`, functions by "METHOD /path", and notes every request. */
async function serve(t, routes) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    const route = `${request.method} ${request.url}`;
    const asked = { route, headers: request.headers, body: body.startsWith("{") ? JSON.parse(body) : body };
    requests.push(asked);
    const respond = {
      json: (value, status = 200, headers = {}) =>
        response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value)),
      problem: (status, code, more = {}, headers = {}) =>
        respond.json({ type: "about:blank", title: "-", status, code, detail: `Said: ${code}.`, request_id: "r-9",
          errors: [], ...more }, status, headers),
      stream: () => response.writeHead(200, { "content-type": "application/x-ndjson" }),
      empty: () => response.writeHead(204).end(),
      cut: () => response.destroy(),
    };
    assert.ok(routes[route], `nobody should ask for ${route}`);
    await routes[route](respond, asked);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const store = new MemoryStore();
  store.set(tokens("old"));
  let signedOut = 0;
  const url = `http://127.0.0.1:${server.address().port}/`;
  const client = new NewVisions({
    baseUrl: url,
    store,
    onSignedOut: () => signedOut++,
  });
  return { client, url, store, requests, asked: (route) => requests.filter((request) => request.route === route),
    signedOut: () => signedOut };
}

/** All events; the audio's bytes joined. */
async function heard(events) {
  const names = [];
  const audio = [];
  for await (const event of events) {
    names.push(event.event);
    if (event.event === "audio") {
      audio.push(event.bytes);
    }
    if (event.event === "restarted") {
      audio.length = 0;
    }
  }
  return { names, audio: Buffer.concat(audio) };
}

/** A promise, and what fulfils it. */
function signal() {
  let give;
  const given = new Promise((resolve) => {
    give = resolve;
  });
  return [given, give];
}

test("refresh runs once for requests that find the token expired together, and each is repeated once", async (t) => {
  const expired = (respond, { headers }) =>
    headers.authorization === "Bearer access-new" ? respond.json({}) : respond.problem(401, "invalid_token");
  const { client, store, asked } = await serve(t, {
    "GET /usage": expired,
    "GET /users/me/settings": expired,
    "POST /auth/refresh": (respond) => respond.json(tokens("new")),
  });
  await Promise.all([client.usage(), client.settings(), client.usage()]);
  assert.deepEqual(asked("POST /auth/refresh").map(({ body }) => body), [{ refresh_token: "refresh-old" }]);
  assert.equal(asked("GET /usage").length, 4);
  assert.equal(asked("GET /users/me/settings").length, 2);
  assert.equal(store.get().refresh_token, "refresh-new");
});

test("refresh is left out where another tab has stored fresh tokens", async (t) => {
  const { client, store } = await serve(t, {
    "GET /usage": (respond, { headers }) => {
      if (headers.authorization === "Bearer access-new") {
        return respond.json({});
      }
      store.set(tokens("new"));
      return respond.problem(401, "invalid_token");
    },
  });
  await client.usage();
});

test("refresh that is refused ends the session, and one whose answer is lost does not", async (t) => {
  let answer = (respond) => respond.cut();
  const { client, store, signedOut } = await serve(t, {
    "GET /usage": (respond) => respond.problem(401, "invalid_token"),
    "POST /auth/refresh": (respond) => answer(respond),
  });
  await assert.rejects(client.usage(), { code: "unreachable", status: 0 });
  assert.deepEqual([store.get(), signedOut()], [tokens("old"), 0]);
  answer = (respond) => respond.problem(401, "invalid_refresh_token");
  await assert.rejects(client.usage(), { code: "invalid_refresh_token" });
  assert.deepEqual([store.get(), signedOut()], [null, 1]);
});

test("a request that is refused with fresh tokens too is not sent a third time", async (t) => {
  const { client, asked } = await serve(t, {
    "GET /usage": (respond) => respond.problem(401, "invalid_token"),
    "POST /auth/refresh": (respond) => respond.json(tokens("new")),
  });
  await assert.rejects(client.usage(), { code: "invalid_token" });
  assert.equal(asked("GET /usage").length, 2);
});

test("errors carry the problem's code, detail and fields, and Retry-After", async (t) => {
  const { client } = await serve(t, {
    "POST /auth/login": (respond) => respond.problem(429, "too_many_attempts", {}, { "retry-after": "17" }),
    "PUT /users/me/settings": (respond) =>
      respond.problem(422, "invalid_request", { errors: [{ field: "voice_stability", message: "must be 0 to 100" }] }),
    "GET /usage": (respond) => respond.json({ message: "Service Unavailable" }, 503),
  });
  await assert.rejects(client.login({ username: "ada", password: "x" }), (error) => {
    assert.ok(error instanceof ApiError);
    const { status, code, detail, retryAfter, requestId } = error;
    assert.deepEqual([status, code, detail, retryAfter, requestId],
      [429, "too_many_attempts", "Said: too_many_attempts.", 17, "r-9"]);
    return true;
  });
  await assert.rejects(client.saveSettings({ voice_stability: 400 }), (error) => {
    assert.deepEqual(error.errors, [{ field: "voice_stability", message: "must be 0 to 100" }]);
    return error.code === "invalid_request" && error.retryAfter === undefined;
  });
  await assert.rejects(client.usage(), { status: 503, code: "unexpected_response" });
});

test("uploads send the recording's bytes, its type and the consent", async (t) => {
  const { client, requests } = await serve(t, { "POST /users/me/voice": (respond) => respond.json({ status: "ok" }) });
  await client.uploadVoice(new Blob(["RIFF"], { type: "audio/wav" }), { consent: true });
  const [{ headers, body }] = requests;
  assert.deepEqual([headers["content-type"], headers["x-consent"], body], ["audio/wav", "true", "RIFF"]);
});

test("perform reads lines that arrive in pieces, to the byte", async (t) => {
  const { client, requests } = await serve(t, {
    "POST /perform": async (respond) => {
      const response = respond.stream();
      // Unknown events are passed by; a letter of two bytes is cut in the middle.
      for (const byte of Buffer.from(ndjson({ event: "later" }, TAKE, AUDIO, AUDIO, SPOKEN, DONE))) {
        response.write(Buffer.from([byte]));
        await new Promise(setImmediate);
      }
      response.end();
    },
  });
  let text;
  async function* watched(events) {
    for await (const event of events) {
      text = event.event === "take" ? event.text : text;
      yield event;
    }
  }
  const { names, audio } = await heard(watched(client.perform(WORDS, { settings_override: { voice_stability: 40 } })));
  assert.deepEqual(names, ["later", "take", "audio", "audio", "spoken", "done"]);
  assert.deepEqual(audio, Buffer.concat([MP3, MP3]));
  assert.equal(text, TAKE.text);
  const [{ headers, body }] = requests;
  assert.match(headers.accept, /^application\/x-ndjson/);
  assert.match(headers["idempotency-key"], /^[0-9a-f-]{36}$/);
  assert.deepEqual(body, { ...WORDS, settings_override: { voice_stability: 40 } });
});

test("perform reads a server that does not stream into the same events", async (t) => {
  const { event: _, take: __, media_type: ___, ...take } = TAKE;
  const { event: ____, ...done } = DONE;
  const { client } = await serve(t, {
    "POST /perform": (respond, { body }) =>
      respond.json(body.takes
        ? { ...done, takes: [{ status: "failed", code: "synthesis_failed", detail: "No." },
            { ...take, status: "ok", backgroundSound: "off", audio_base64: AUDIO.data }] }
        : { ...take, ...done, backgroundSound: "off", audio_base64: AUDIO.data }),
  });
  assert.deepEqual(await heard(client.perform(WORDS)), { names: ["take", "audio", "spoken", "done"], audio: MP3 });
  const several = await heard(client.perform({ takes: [{ text: "One." }, { text: "Two." }] }));
  assert.deepEqual(several.names, ["failed", "take", "audio", "spoken", "done"]);
});

test("perform asks again with the same key when its answer breaks off or ends without `done`", async (t) => {
  const answers = [
    (respond) => respond.cut(),
    (respond) => void respond.stream().write(ndjson(TAKE, AUDIO), () => respond.cut()),
    (respond) => respond.stream().end(ndjson(TAKE, AUDIO) + '{"event":"do'),
    (respond) => respond.stream().end(ndjson(TAKE, AUDIO, SPOKEN, DONE)),
  ];
  const { client, requests } = await serve(t, { "POST /perform": (respond) => answers.shift()(respond) });
  const { names, audio } = await heard(client.perform(WORDS, {}, { key: "a-show-in-leeds" }));
  assert.equal(names.filter((name) => name === "restarted").length, 3);
  assert.deepEqual(names.slice(-4), ["take", "audio", "spoken", "done"]);
  assert.deepEqual(audio, MP3);
  assert.deepEqual(requests.map(({ headers }) => headers["idempotency-key"]), Array(4).fill("a-show-in-leeds"));
  assert.equal(new Set(requests.map(({ body }) => JSON.stringify(body))).size, 1);
});

test("perform that is refused is not asked for again", async (t) => {
  const { client, requests } = await serve(t, { "POST /perform": (respond) => respond.problem(429, "quota_exceeded") });
  await assert.rejects(heard(client.perform(WORDS)), { code: "quota_exceeded" });
  assert.equal(requests.length, 1);
});

test("performs are sent to the address that streams them, and all else to the API's", async (t) => {
  const api = await serve(t, { "GET /usage": (respond) => respond.json({ charCount: 12 }) });
  const streams = await serve(t, { "POST /perform": (respond) => respond.stream().end(ndjson(TAKE, AUDIO, SPOKEN, DONE)) });
  const client = new NewVisions({ baseUrl: api.url, performUrl: streams.url, store: api.store });
  assert.equal((await heard(client.perform(WORDS))).names.at(-1), "done");
  assert.equal((await client.usage()).charCount, 12);
  assert.equal(streams.requests[0].headers.authorization, "Bearer access-old");
});

test("a cue speaks the words that were given before its voice was ready", async (t) => {
  const [given, give] = signal();
  const { client, asked } = await serve(t, {
    "POST /perform": async (respond) => {
      const response = respond.stream();
      response.write(ndjson({ event: "ready", perform_id: "p-1", expires_in: 20 }));
      await given;
      response.end(ndjson(TAKE, AUDIO, SPOKEN, DONE));
    },
    "POST /perform/p-1": (respond) => {
      respond.json({}, 202);
      give();
    },
  });
  const cue = client.cue({ settings_override: { voice_stability: 40 } });
  const [{ names, audio }] = await Promise.all([heard(cue), cue.speak(WORDS)]);
  assert.deepEqual(names, ["ready", "take", "audio", "spoken", "done"]);
  assert.deepEqual(audio, MP3);
  assert.deepEqual(asked("POST /perform")[0].body, { cue: true, settings_override: { voice_stability: 40 } });
  assert.deepEqual(asked("POST /perform/p-1")[0].body, WORDS);
});

test("a cue goes on waiting when words are refused, and takes others", async (t) => {
  const [given, give] = signal();
  const { client } = await serve(t, {
    "POST /perform": async (respond) => {
      const response = respond.stream();
      response.write(ndjson({ event: "ready", perform_id: "p-1", expires_in: 20 }));
      await given;
      response.end(ndjson(TAKE, AUDIO, SPOKEN, DONE));
    },
    "POST /perform/p-1": (respond, { body }) => {
      if (body.value === "") {
        return respond.problem(422, "invalid_request");
      }
      respond.json({}, 202);
      return give();
    },
  });
  const cue = client.cue();
  const hearing = heard(cue);
  await assert.rejects(cue.speak({ ...WORDS, value: "" }), { code: "invalid_request" });
  await cue.speak(WORDS);
  assert.equal((await hearing).names.at(-1), "done");
});

test("a cue whose answer is lost begins anew and is given its words again", async (t) => {
  const [given, give] = signal();
  const starts = [
    async (respond) => {
      respond.stream().write(ndjson({ event: "ready", perform_id: "p-1", expires_in: 20 }));
      await given;
      respond.cut();
    },
    async (respond) => {
      respond.stream().end(ndjson({ event: "ready", perform_id: "p-2", expires_in: 20 }, TAKE, AUDIO, SPOKEN, DONE));
    },
  ];
  const { client, requests } = await serve(t, {
    "POST /perform": (respond) => starts.shift()(respond),
    "POST /perform/p-1": (respond) => {
      respond.json({}, 202);
      give();
    },
    "POST /perform/p-2": (respond) => respond.json({}, 202),
  });
  const cue = client.cue();
  const [{ names }] = await Promise.all([heard(cue), cue.speak(WORDS)]);
  assert.deepEqual(names, ["ready", "restarted", "ready", "take", "audio", "spoken", "done"]);
  const keys = requests.flatMap(({ route, headers }) => (route === "POST /perform" ? [headers["idempotency-key"]] : []));
  assert.equal(keys[0], keys[1]);
});

test("a cue that is withdrawn while its voice is made is dropped as soon as it is ready", async (t) => {
  const [dropped, drop] = signal();
  const { client, asked } = await serve(t, {
    "POST /perform": async (respond) => {
      const response = respond.stream();
      response.write(ndjson({ event: "ready", perform_id: "p-1", expires_in: 20 }));
      await dropped;
      response.end(ndjson({ event: "failed", code: "cue_expired", detail: "Withdrawn." }));
    },
    "DELETE /perform/p-1": (respond) => {
      respond.empty();
      drop();
    },
  });
  const cue = client.cue();
  const [{ names }] = await Promise.all([heard(cue), cue.withdraw()]);
  assert.deepEqual(names, ["ready", "failed"]);
  assert.equal(asked("DELETE /perform/p-1").length, 1);
});

test("a cue at a door that knows none fails for those who speak too", async (t) => {
  const { client } = await serve(t, { "POST /perform": (respond) => respond.problem(422, "invalid_request") });
  const cue = client.cue();
  await Promise.all([
    assert.rejects(heard(cue), { code: "invalid_request" }),
    assert.rejects(cue.speak(WORDS), { code: "invalid_request" }),
  ]);
});
