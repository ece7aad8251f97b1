// Plays one take at a time, also while its samples still come.

import { SampleQueue } from "./queue.js";

const OLD_BLOCK = 1024; // samples, of the ScriptProcessorNode

export class Player extends EventTarget {
  constructor(rate) {
    super();
    this.rate = rate;
    this.take = null;
    this.state = { position: 0, playing: false, waiting: false };
    this.opening = null;
  }

  /** Browsers let a page make sound once it was clicked: call it from a click. */
  open() {
    this.opening ??= this.#open();
    this.context?.resume();
    return this.opening;
  }

  async #open() {
    this.context = new AudioContext({ sampleRate: this.rate, latencyHint: "interactive" });
    this.context.resume();
    if (this.context.audioWorklet) {
      await this.context.audioWorklet.addModule(new URL("player-worklet.js", import.meta.url));
      const node = new AudioWorkletNode(this.context, "player", { numberOfInputs: 0, outputChannelCount: [1] });
      node.port.onmessage = ({ data }) => this.#told(data);
      node.connect(this.context.destination);
      this.#send = (message) => node.port.postMessage(message);
    } else {
      const queue = new SampleQueue(this.rate);
      const node = this.context.createScriptProcessor(OLD_BLOCK, 0, 1);
      let take = null;
      node.onaudioprocess = ({ outputBuffer }) => {
        queue.fill(outputBuffer.getChannelData(0));
        this.#told({ ...queue.state, take });
      };
      node.connect(this.context.destination);
      this.#send = (message) => { take = message.take; queue.take(message); };
      this.node = node; // or it is collected as garbage
    }
  }

  #send = () => {};

  #told({ take, ...state }) {
    if (take !== this.take?.id) return; // of the take before
    const ended = this.state.playing && !state.playing && state.position >= this.take.length && this.take.complete;
    this.state = state;
    this.dispatchEvent(new Event("moved"));
    if (ended) this.dispatchEvent(new Event("ended"));
  }

  #tell(kind, more = {}) {
    this.#send({ kind, take: this.take.id, ...more });
  }

  /** Play a take from its beginning. Samples that come later are given by `add`. */
  async play(take) {
    await this.open();
    this.take = take;
    this.state = { position: 0, playing: true, waiting: take.length === 0 };
    this.#tell("clear");
    for (const samples of take.blocks) this.#tell("add", { samples });
    if (take.complete) this.#tell("complete");
    this.#tell("play");
    this.dispatchEvent(new Event("moved"));
  }

  add(take, samples) { if (take === this.take) this.#tell("add", { samples }); }

  complete(take) { if (take === this.take) this.#tell("complete"); }

  toggle() {
    if (this.state.playing) return this.pause();
    this.open();
    if (this.state.position >= this.take.length && this.take.complete) this.seek(0);
    this.#tell("play");
  }

  pause() { if (this.take) this.#tell("pause"); }

  /** position: in samples */
  seek(position) { this.#tell("seek", { position: Math.round(position) }); }

  get seconds() { return this.state.position / this.rate; }
}
