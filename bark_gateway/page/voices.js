// The dialog of voices: choose one, hear it, delete it, clone one.

import * as api from "./api.js";
import { MOST_S, Recorder } from "./recorder.js";

const SEARCH_FROM = 12; // voices
const $ = (id) => document.getElementById(id);
const languages = new Intl.DisplayNames(["en"], { type: "language" });

export class Voices {
  constructor({ onChoose, onHear }) {
    Object.assign(this, { onChoose, chosen: null, list: [], clip: null, recorder: null, starting: false, audio: new Audio(), onHear });
    this.dialog = $("voices");
    this.dialog.querySelector(".close").onclick = () => this.dialog.close();
    this.dialog.addEventListener("close", () => { this.#quiet(); if (this.recorder) this.#record(); });
    this.dialog.addEventListener("click", (event) => { if (event.target === this.dialog) this.dialog.close(); });
    this.audio.onended = () => this.#quiet();
    $("voice-search").oninput = () => this.#show();
    $("clip-file").onchange = () => this.#choose($("clip-file").files[0]);
    $("clip-file").onclick = () => { $("clip-file").value = ""; };
    $("record").onclick = () => this.#record();
    $("clone-form").onsubmit = (event) => { event.preventDefault(); this.#clone(); };
    if (!Recorder.possible) {
      $("record").disabled = true;
      $("clip-words").textContent = "Browsers record only on pages that came over HTTPS, or from this machine.";
    }
  }

  async open() {
    this.dialog.showModal();
    await this.load();
  }

  async load() {
    tell("voice-problem", "");
    try {
      this.list = await api.voices();
    } catch (error) {
      tell("voice-problem", error.message); // nothing is known of the voices: the list and the choice stay
      return this.#show();
    }
    if (this.chosen && !this.list.some(({ id }) => id === this.chosen)) this.#take(null);
    $("voice-search-label").hidden = this.list.length < SEARCH_FROM;
    this.#show();
  }

  #show() {
    const wanted = $("voice-search").value.trim().toLowerCase();
    const shown = this.list.filter(({ id, language }) => `${id} ${name(language)}`.toLowerCase().includes(wanted));
    const any = { id: null, words: "Any speaker", facts: "Bark makes one up for each take" };
    $("voice-list").replaceChildren(this.#row(any), ...shown.map((voice) => this.#row({ ...voice, words: voice.id, facts: facts(voice) })));
  }

  #row({ id, words, facts, stored }) {
    const row = $("voice").content.cloneNode(true).querySelector("li");
    const radio = row.querySelector("input");
    row.querySelector("b").textContent = words;
    row.querySelector("small").textContent = facts;
    radio.checked = id === this.chosen;
    radio.onchange = () => this.#take(id);
    const hear = row.querySelector(".hear"), remove = row.querySelector(".remove");
    hear.hidden = id === null;
    remove.hidden = !stored;
    hear.setAttribute("aria-label", `Hear ${words}`);
    remove.setAttribute("aria-label", `Delete ${words}`);
    hear.onclick = () => this.#hear(id, hear);
    remove.onclick = () => this.#remove(id, remove);
    remove.onblur = () => { remove.classList.remove("sure"); remove.setAttribute("aria-label", `Delete ${words}`); };
    return row;
  }

  #take(id) {
    this.chosen = id;
    this.onChoose(id);
  }

  async #hear(id, button) {
    if (this.heard === button) return this.#quiet();
    this.#quiet();
    this.onHear();
    this.heard = button;
    button.classList.add("busy");
    tell("voice-problem", "");
    try {
      const sound = await api.preview(id);
      if (this.heard !== button) return;
      this.audio.src = URL.createObjectURL(sound);
      await this.audio.play();
      icon(button, "i-stop");
    } catch (error) {
      this.#quiet();
      tell("voice-problem", error.message);
    } finally {
      button.classList.remove("busy");
    }
  }

  #quiet() {
    this.audio.pause();
    if (this.audio.src) URL.revokeObjectURL(this.audio.src);
    if (this.heard) icon(this.heard, "i-play");
    this.heard = null;
  }

  /** The first click asks, the second one deletes. */
  async #remove(id, button) {
    if (!button.classList.contains("sure")) {
      button.classList.add("sure");
      button.setAttribute("aria-label", `Delete ${id} for good? Press again.`);
      tell("voice-problem", `Press again to delete ${id} for good.`);
      return;
    }
    try {
      await api.remove(id);
      this.list = this.list.filter((voice) => voice.id !== id);
      if (this.chosen === id) this.#take(null);
      await this.load();
      $("voice-list").querySelector("input:checked")?.focus();
    } catch (error) {
      tell("voice-problem", error.message);
    }
  }

  #choose(clip) {
    if (!clip) return;
    this.clip = clip;
    $("clip-words").textContent = clip.name;
    const audio = $("clip-audio");
    URL.revokeObjectURL(audio.src);
    audio.src = URL.createObjectURL(clip);
    audio.hidden = false;
    tell("clone-problem", "");
  }

  async #record() {
    const button = $("record"), words = button.querySelector("span");
    if (this.recorder) {
      const recorder = this.recorder;
      this.recorder = null;
      words.textContent = "Record again";
      button.classList.remove("on");
      $("level").hidden = true;
      return this.#choose(await recorder.stop());
    }
    if (this.starting) return;
    tell("clone-problem", "");
    const recorder = new Recorder();
    this.starting = true; // until the user has allowed the microphone
    try {
      await recorder.start((level, seconds) => {
        $("level").value = level;
        $("clip-words").textContent = `Recording: ${Math.floor(seconds)} s of at most ${MOST_S} s`;
        if (seconds >= MOST_S && this.recorder === recorder) this.#record();
      });
    } catch (error) {
      const words = error.name === "NotAllowedError" ? "The browser does not allow this page to use the microphone." : "There is no microphone.";
      return tell("clone-problem", words);
    } finally {
      this.starting = false;
    }
    if (!this.dialog.open) return recorder.stop();
    this.recorder = recorder;
    words.textContent = "Stop";
    button.classList.add("on");
    $("level").hidden = false;
  }

  async #clone() {
    const name = $("clone-name").value.trim();
    const missing = !this.clip ? ["Choose a recording, or record one.", "record"]
      : !name ? ["Give the voice a name.", "clone-name"]
      : !$("consent").checked ? ["Say that the speaker agreed.", "consent"] : null;
    if (missing) {
      $(missing[1]).focus();
      return tell("clone-problem", missing[0]);
    }
    tell("clone-problem", "");
    const button = $("clone-make");
    Object.assign(button, { disabled: true, textContent: "Cloning" });
    try {
      const made = await api.clone({ name, clip: this.clip, consent: "said on the page: the speaker agreed" });
      this.#take(made.id);
      await this.load();
      this.#reset();
      tell("voice-problem", [`${made.id} is there, and chosen.`, ...made.warnings].join(" "), "done");
      this.dialog.scrollTop = 0;
      $("voice-list").querySelector("input:checked")?.focus();
    } catch (error) {
      tell("clone-problem", error.message);
    } finally {
      Object.assign(button, { disabled: false, textContent: "Clone" });
    }
  }

  #reset() {
    $("clone-form").reset();
    $("clone").open = false;
    $("clip-audio").hidden = true;
    $("clip-words").textContent = "No recording yet.";
    this.clip = null;
  }
}

function tell(id, words, kind = "") {
  $(id).textContent = words.charAt(0).toUpperCase() + words.slice(1);
  $(id).hidden = !words;
  $(id).classList.toggle("done", kind === "done");
}

const icon = (button, name) => button.querySelector("use").setAttribute("href", `#${name}`);

const name = (language) => (language ? languages.of(language) : "");

const facts = ({ language, seconds, stored }) =>
  [name(language), stored ? "cloned or uploaded" : "", `${seconds.toFixed(1)} s of speech`].filter(Boolean).join(" · ");
