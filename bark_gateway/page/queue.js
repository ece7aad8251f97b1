// The samples of one take, while they come and are played. It knows nothing of Web Audio, so that it serves the audio
// worklet and the older ScriptProcessorNode alike: pages that came over plain HTTP have no worklet.

const REFILL = 0.25; // seconds to gather after the queue ran dry

export class SampleQueue {
  constructor(rate) {
    this.rate = rate;
    this.clear();
  }

  clear() {
    this.blocks = [];
    this.starts = []; // of each block, in samples
    this.total = 0;
    this.position = 0;
    this.complete = false; // no more will come
    this.playing = false;
    this.waiting = false; // it ran dry
  }

  /** A message of the page. */
  take({ kind, samples, position }) {
    if (kind === "clear") this.clear();
    if (kind === "add") this.add(samples);
    if (kind === "complete") this.complete = true;
    if (kind === "play") this.playing = true;
    if (kind === "pause") this.playing = false;
    if (kind === "seek") this.position = Math.max(0, Math.min(position, this.total));
  }

  add(samples) {
    this.blocks.push(samples);
    this.starts.push(this.total);
    this.total += samples.length;
  }

  /** Fill a block that goes to the loudspeaker: silence where there are no samples. */
  fill(output) {
    output.fill(0);
    if (!this.playing) return;
    const left = this.total - this.position;
    if (this.waiting && !this.complete && left < REFILL * this.rate) return;
    this.waiting = false;
    let done = 0;
    while (done < output.length && this.position < this.total) {
      const index = this.find(this.position);
      const block = this.blocks[index];
      const from = this.position - this.starts[index];
      const count = Math.min(output.length - done, block.length - from);
      output.set(block.subarray(from, from + count), done);
      done += count;
      this.position += count;
    }
    if (this.position >= this.total) {
      if (this.complete) this.playing = false;
      else this.waiting = true;
    }
  }

  /** The block that holds a sample. */
  find(position) {
    let low = 0, high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  get state() {
    return { position: this.position, playing: this.playing, waiting: this.waiting };
  }
}
