// Runs on the audio thread: plays a queue, and tells the page where it is.

import { SampleQueue } from "./queue.js";

const TELL_EVERY = 8; // blocks of 128 samples: 43 ms

registerProcessor("player", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = new SampleQueue(sampleRate);
    this.blocks = 0;
    this.port.onmessage = ({ data }) => {
      this.queue.take(data);
      this.take = data.take;
      this.tell();
    };
  }

  process(inputs, outputs) {
    const { playing, waiting } = this.queue;
    this.queue.fill(outputs[0][0]);
    for (const channel of outputs[0].slice(1)) channel.set(outputs[0][0]);
    const changed = playing !== this.queue.playing || waiting !== this.queue.waiting;
    if (changed || (this.queue.playing && ++this.blocks % TELL_EVERY === 0)) this.tell();
    return true;
  }

  tell() {
    this.port.postMessage({ ...this.queue.state, take: this.take });
  }
});
