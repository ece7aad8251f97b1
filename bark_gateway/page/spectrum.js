// Samples to the columns of a mel spectrogram. Pure arithmetic.

const SIZE = 1024; // samples of a window
export const HOP = 256; // samples between two columns
export const BANDS = 64;
const LOW_HZ = 60, FLOOR_DB = -78, CEILING_DB = -18;

const mel = (hertz) => 2595 * Math.log10(1 + hertz / 700);
const hertz = (value) => 700 * (10 ** (value / 2595) - 1);

export class Spectrum {
  constructor(rate) {
    this.rest = new Float32Array(SIZE - HOP); // the first column looks at silence before the speech
    this.window = Float32Array.from({ length: SIZE }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / SIZE));
    const [from, to] = [mel(LOW_HZ), mel(rate / 2)];
    const edge = (band) => (hertz(from + ((to - from) * band) / BANDS) * SIZE) / rate;
    this.bands = Array.from({ length: BANDS }, (_, band) => {
      const low = Math.floor(edge(band));
      return [low, Math.max(low + 1, Math.ceil(edge(band + 1)))];
    });
    this.real = new Float32Array(SIZE);
    this.imaginary = new Float32Array(SIZE);
  }

  /** The columns that are complete now: each a Uint8Array [BANDS], low bands first. */
  feed(samples) {
    const all = new Float32Array(this.rest.length + samples.length);
    all.set(this.rest);
    all.set(samples, this.rest.length);
    const columns = [];
    let at = 0;
    for (; at + SIZE <= all.length; at += HOP) columns.push(this.column(all.subarray(at, at + SIZE)));
    this.rest = all.slice(at);
    return columns;
  }

  column(samples) {
    for (let n = 0; n < SIZE; n++) this.real[n] = samples[n] * this.window[n];
    this.imaginary.fill(0);
    transform(this.real, this.imaginary);
    return Uint8Array.from(this.bands, ([low, high]) => {
      let power = 0;
      for (let bin = low; bin < high; bin++) power = Math.max(power, this.real[bin] ** 2 + this.imaginary[bin] ** 2);
      const decibels = 10 * Math.log10(power / (SIZE / 4) ** 2 + 1e-12);
      return 255 * Math.min(1, Math.max(0, (decibels - FLOOR_DB) / (CEILING_DB - FLOOR_DB)));
    });
  }
}

/** The discrete Fourier transform, in place (Cooley and Tukey, radix 2). */
export function transform(real, imaginary) {
  const size = real.length;
  for (let n = 1, reversed = 0; n < size; n++) {
    let bit = size >> 1;
    for (; reversed & bit; bit >>= 1) reversed ^= bit;
    reversed ^= bit;
    if (n < reversed) {
      [real[n], real[reversed]] = [real[reversed], real[n]];
      [imaginary[n], imaginary[reversed]] = [imaginary[reversed], imaginary[n]];
    }
  }
  for (let span = 2; span <= size; span *= 2) {
    const angle = (-2 * Math.PI) / span, half = span / 2;
    for (let k = 0; k < half; k++) {
      const cosine = Math.cos(angle * k), sine = Math.sin(angle * k);
      for (let even = k; even < size; even += span) {
        const odd = even + half;
        const x = real[odd] * cosine - imaginary[odd] * sine, y = real[odd] * sine + imaginary[odd] * cosine;
        real[odd] = real[even] - x;
        imaginary[odd] = imaginary[even] - y;
        real[even] += x;
        imaginary[even] += y;
      }
    }
  }
}
