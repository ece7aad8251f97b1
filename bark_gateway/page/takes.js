// One take: its samples while they come, what is known of it, and its line in the history.

import * as api from "./api.js";
import { codes } from "./code.js";
import { Spectrum } from "./spectrum.js";
import { bytes, download, wav } from "./sound.js";

export const FORMATS = { mp3: "MP3", opus: "Opus", aac: "AAC", flac: "FLAC", wav: "WAV", pcm: "PCM" };
const SUFFIXES = { opus: "ogg" };
const TROUBLE = {
  short: "ended too soon", long: "took too long", cut: "was cut at its limit", babble: "may say other words",
  loop: "may repeat itself", drone: "may drone", silent: "is mostly silent", empty: "has no audio",
}; // the server's verdicts on pieces
let count = 0;

export class Take {
  constructor(request, rate) {
    Object.assign(this, { id: ++count, request, rate, blocks: [], length: 0, columns: [], pieces: [], complete: false });
    Object.assign(this, { seed: request.seed, warnings: [], verdict: null, spectrum: new Spectrum(rate) });
  }

  get seconds() { return this.length / this.rate; }

  add(samples, { sentence, text }) {
    if (this.pieces.length <= sentence) {
      const last = this.pieces.at(-1);
      if (last) last.end = this.seconds;
      while (this.pieces.length <= sentence) this.pieces.push({ text: text ?? "", start: this.seconds });
    }
    this.blocks.push(samples);
    this.length += samples.length;
    this.columns.push(...this.spectrum.feed(samples));
  }

  /** No more comes. told: what the gateway said at the end; problem: why it did not get so far. */
  end({ told = null, problem = null }) {
    this.complete = true;
    if (told) {
      Object.assign(this, { seed: told.seed, warnings: told.warnings });
      if (told.pieces.length) this.pieces = told.pieces;
    }
    const last = this.pieces.at(-1);
    if (last) last.end ??= this.seconds;
    const bad = this.pieces.filter((piece) => piece.verdict && piece.verdict !== "good");
    const judged = this.pieces.some((piece) => piece.verdict);
    this.verdict = problem ?? (bad.length ? "doubtful" : judged ? "good" : "done");
    this.broken = Boolean(problem);
    this.notes = [...this.warnings, ...bad.map(({ text, verdict }) => `“${text}” ${TROUBLE[verdict] ?? verdict}.`)];
    const again = this.pieces.filter((piece) => piece.attempts > 1 && piece.verdict === "good");
    if (again.length) this.notes.push(`${again.length} of ${this.pieces.length} pieces had to be spoken again.`);
  }

  /** Its file in a format. What was heard is encoded; it is not spoken again. */
  async file(format) {
    const samples = bytes(this.blocks);
    if (format === "pcm") return new Blob([samples]);
    return format === "wav" ? wav(samples, this.rate) : api.encode(samples, format);
  }
}

/** The take's line in the history. */
export function line(take, { onPlay, onSeed, onDrop, onProblem }) {
  const item = document.getElementById("take").content.cloneNode(true).querySelector("li");
  const find = (selector) => item.querySelector(selector);
  const words = take.request.input.trim();
  find(".words").textContent = words.length > 140 ? `${words.slice(0, 140)}…` : words;
  find(".again").setAttribute("aria-label", `Play: ${words.slice(0, 60)}`);
  find(".again").onclick = () => onPlay(take);
  find(".again").disabled = take.length === 0;
  find(".drop").onclick = () => onDrop(take, item);
  find(".facts").append(
    chip(take.verdict, take.broken ? "bad" : take.verdict === "good" ? "good" : "plain"),
    element("span", `${take.seconds.toFixed(1)} s`),
    element("span", take.request.voice ?? "any speaker"),
    seedButton(take, onSeed),
  );
  for (const note of take.notes) find(".notes").append(element("li", note));
  find(".notes").hidden = !take.notes.length;
  for (const [format, name] of Object.entries(FORMATS)) find(".formats").append(saver(take, format, name, onProblem));
  find(".more").hidden = take.length === 0;
  find(".more").ontoggle = () => { if (find(".more").open) find(".codes").replaceChildren(...codes(take)); };
  return item;
}

function seedButton(take, onSeed) {
  if (!take.seed) return element("span", "no seed");
  const button = element("button", `seed ${take.seed}`, "link");
  button.type = "button";
  button.title = "Use this seed for the next take";
  button.onclick = () => onSeed(take.seed);
  return button;
}

function saver(take, format, name, onProblem) {
  const button = element("button", name, "quiet");
  button.type = "button";
  button.onclick = async () => {
    button.disabled = true;
    try {
      download(await take.file(format), `${fileName(take)}.${SUFFIXES[format] ?? format}`);
    } catch (error) {
      onProblem(error);
    } finally {
      button.disabled = false;
    }
  };
  return button;
}

export function fileName(take) {
  const words = take.request.input.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+/, "").slice(0, 30);
  return `${words.replace(/-+$/, "") || "speech"}-${take.seed ?? "take"}`;
}

function chip(words, kind) { return element("span", words, `chip ${kind}`); }

function element(tag, words, kind = "") {
  return Object.assign(document.createElement(tag), { textContent: words, className: kind });
}
