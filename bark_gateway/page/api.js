// What the page asks the gateway. Errors become `Refused`, whose message is a sentence for people.

import { device, tab } from "./storage.js";

const KEY = "bark-key";
const READY_S = 5; // for the gateway to say whether it is ready
let given = null; // where the browser keeps nothing
let askForKey = async () => null; // (words) => the key, or null

/** An answer with a status of 400 or more, or none at all. */
export class Refused extends Error {
  constructor(message, { status = 0, code = null, param = null } = {}) {
    super(message);
    Object.assign(this, { status, code, param });
  }
}

export function onKeyNeeded(ask) { askForKey = ask; }

export function key() { return tab.get(KEY) ?? device.get(KEY) ?? given; }

export function useKey(text, { keep = false } = {}) {
  forgetKey();
  given = text;
  (keep ? device : tab).set(KEY, text);
}

export function forgetKey() {
  given = null;
  tab.remove(KEY);
  device.remove(KEY);
}

/** fetch with the key. If the gateway wants one, or another one, it is asked for. */
export async function call(path, options = {}) {
  for (;;) {
    const used = key();
    const headers = { ...options.headers, ...(used ? { authorization: `Bearer ${used}` } : {}) };
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused("The gateway does not answer. Does it run?");
    }
    if (answer.ok) return answer;
    const refused = await refusal(answer);
    if (answer.status !== 401 || !(await askForKey(refused.message, key() !== used))) throw refused;
  }
}

async function refusal(answer) {
  const told = await answer.json().then((body) => body.error, () => null);
  const wait = answer.headers.get("retry-after");
  const message = told?.message ?? `The gateway answered with status ${answer.status}.`;
  const { code = null, param = null } = told ?? {};
  return new Refused(answer.status === 429 && wait ? `${message} (${wait} s)` : message, { status: answer.status, code, param });
}

/** The events of an answer, each one parsed. An error among them is thrown. */
export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const data = part.split("\n").filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)).join("");
        if (!data) continue;
        const event = JSON.parse(data);
        if (event.error) throw new Refused(event.error.message, event.error);
        yield event;
      }
    }
  } catch (error) {
    if (error instanceof Refused || error.name === "AbortError") throw error;
    throw new Refused("The connection to the gateway broke off.");
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The body of a request to speak. JavaScript's numbers can't hold every seed, so it is written by hand. */
export function speechBody({ seed, ...fields }) {
  const body = JSON.stringify(Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null)));
  return seed ? `${body.slice(0, -1)},"seed":${seed}}` : body;
}

export function speak(request, { signal }) {
  const body = speechBody({ ...request, response_format: "pcm", stream_format: "sse" });
  return call("v1/audio/speech", { method: "POST", headers: { "content-type": "application/json" }, body, signal });
}

export const voices = async () => (await (await call("v1/audio/voices")).json()).data;

export const preview = async (name) => (await call(`v1/audio/voices/${path(name)}/preview`)).blob();

export const remove = (name) => call(`v1/audio/voices/${path(name)}`, { method: "DELETE" });

export async function clone({ name, clip, consent }) {
  const form = new FormData();
  form.append("name", name);
  form.append("consent", consent);
  form.append("audio_sample", clip, clip.name ?? "recording.wav");
  return (await call("v1/audio/voices", { method: "POST", body: form })).json();
}

/** 16-bit samples as a file of a format. */
export async function encode(samples, format) {
  const headers = { "content-type": "application/octet-stream" };
  return (await call(`page/encode/${format}`, { method: "POST", headers, body: samples })).blob();
}

/** Whether a speech server answers. A gateway that is silent for READY_S does not answer. */
export async function ready() {
  const signal = AbortSignal.timeout(READY_S * 1000);
  const answer = await fetch("health/ready", { cache: "no-store", signal }).catch(() => null);
  return answer === null ? "no gateway" : answer.ok ? "ready" : "no server";
}

const path = (name) => name.split("/").map(encodeURIComponent).join("/");
