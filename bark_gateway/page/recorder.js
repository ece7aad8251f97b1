// Records the microphone as a WAV, without what browsers do to the voices of callers.

import { bytes, wav } from "./sound.js";

export const MOST_S = 30; // the server takes no longer clip

export class Recorder {
  static get possible() { return Boolean(navigator.mediaDevices?.getUserMedia && globalThis.AudioWorkletNode); }

  /** onSound: gets the level (0 to 1) and the seconds so far. */
  async start(onSound) {
    const wanted = { echoCancellation: false, noiseSuppression: false, autoGainControl: true };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule(new URL("recorder-worklet.js", import.meta.url));
    this.blocks = [];
    let count = 0;
    const node = new AudioWorkletNode(this.context, "recorder", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => {
      if (count >= MOST_S * this.context.sampleRate) return;
      this.blocks.push(data);
      count += data.length;
      onSound(Math.max(...data.map(Math.abs)), count / this.context.sampleRate);
    };
    this.context.createMediaStreamSource(this.stream).connect(node);
  }

  /** A file of what was heard. */
  async stop() {
    for (const track of this.stream.getTracks()) track.stop();
    const rate = this.context.sampleRate;
    await this.context.close();
    return new File([wav(bytes(this.blocks), rate)], "recording.wav", { type: "audio/wav" });
  }
}
