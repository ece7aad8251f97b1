// Samples to bytes and back, and files that the browser saves.

/** 16-bit integers in base64 → floats */
export function floats(base64) {
  const data = Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0));
  const integers = new DataView(data.buffer);
  return Float32Array.from({ length: data.length >> 1 }, (_, n) => integers.getInt16(2 * n, true) / 32768);
}

/** floats → 16-bit integers, little endian; exact for samples that came as such */
export function bytes(blocks) {
  const count = blocks.reduce((sum, block) => sum + block.length, 0);
  const view = new DataView(new ArrayBuffer(2 * count));
  let at = 0;
  for (const block of blocks) {
    for (const sample of block) {
      view.setInt16(at, Math.max(-32768, Math.min(32767, Math.round(sample * 32768))), true);
      at += 2;
    }
  }
  return view.buffer;
}

/** A WAV of 16-bit mono samples. */
export function wav(samples, rate) {
  const header = new DataView(new ArrayBuffer(44));
  const word = (at, text) => [...text].forEach((sign, n) => header.setUint8(at + n, sign.charCodeAt(0)));
  word(0, "RIFF");
  header.setUint32(4, 36 + samples.byteLength, true);
  word(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // mono
  header.setUint32(24, rate, true);
  header.setUint32(28, 2 * rate, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  word(36, "data");
  header.setUint32(40, samples.byteLength, true);
  return new Blob([header, samples], { type: "audio/wav" });
}

/** Have the browser save a file. */
export function download(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Where the player is in a take, for people. */
export function clock(seconds, all) {
  if (all < 60) return `${seconds.toFixed(1)} / ${all.toFixed(1)} s`;
  return [seconds, all].map((time) => `${Math.floor(time / 60)}:${String(Math.floor(time % 60)).padStart(2, "0")}`).join(" / ");
}
