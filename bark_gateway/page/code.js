// The lines of curl and Python that do what a take did.

import * as api from "./api.js";

const OPENAI = ["model", "input", "voice", "response_format", "speed"]; // fields that OpenAI's client knows

export function codes(take) {
  return [["curl", curl(take)], ["Python", python(take)]].map(([name, text]) => {
    const figure = document.getElementById("code").content.cloneNode(true).querySelector("figure");
    figure.querySelector("figcaption").textContent = name;
    figure.querySelector("pre").textContent = text;
    figure.querySelector("pre").setAttribute("aria-label", `The same with ${name}`);
    const button = figure.querySelector("button");
    button.setAttribute("aria-label", `Copy the lines of ${name}`);
    button.onclick = () => copy(figure.querySelector("pre"), button);
    return figure;
  });
}

const fields = (take) =>
  Object.entries({ ...take.request, seed: take.seed, response_format: "mp3" }).filter(([, value]) => value !== null && value !== "");

const base = () => new URL("v1", document.baseURI).href;

function curl(take) {
  const body = api.speechBody(Object.fromEntries(fields(take))).replaceAll("'", "'\\''");
  const key = api.key() ? ` \\\n  -H "authorization: Bearer $BARK_KEY"` : "";
  return `curl --fail-with-body ${base()}/audio/speech \\\n  -H 'content-type: application/json'${key} \\\n  -d '${body}' \\\n  -o speech.mp3`;
}

function python(take) {
  const given = Object.entries({ voice: null, ...Object.fromEntries(fields(take)) }); // OpenAI's client wants a voice, if only None
  const own = given.filter(([name]) => !OPENAI.includes(name));
  const lines = given.filter(([name]) => OPENAI.includes(name)).map(([name, value]) => `    ${name}=${literal(value)},`);
  if (own.length) lines.push(`    extra_body={${own.map(([name, value]) => `"${name}": ${literal(value, name)}`).join(", ")}},`);
  const key = api.key() ? 'os.environ["BARK_KEY"]' : '"none"';
  return [
    ...(api.key() ? ["import os", ""] : []),
    "from openai import OpenAI", "",
    `client = OpenAI(base_url="${base()}", api_key=${key})`,
    "speech = client.audio.speech.create(", '    model="bark",', ...lines, ")",
    'speech.write_to_file("speech.mp3")',
  ].join("\n");
}

function literal(value, name = "") {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  return typeof value === "number" || name === "seed" ? String(value) : JSON.stringify(value);
}

async function copy(pre, button) {
  getSelection().selectAllChildren(pre);
  try {
    await navigator.clipboard.writeText(pre.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Selected"; // pages that came over plain HTTP may not write to the clipboard
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}
