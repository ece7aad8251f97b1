// Draws the spectrogram of a take while its samples come, and where the player is. A click or an arrow key moves it.

import { BANDS, HOP } from "./spectrum.js";

const SHOWN_AT_LEAST_S = 6;

export class Spectrogram {
  constructor({ canvas, head, seek, rate }) {
    Object.assign(this, { canvas, head, seek, rate, columns: [], seconds: 0, position: 0 });
    this.brush = canvas.getContext("2d");
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  show(take) {
    this.take = take;
    this.draw();
  }

  /** Draw at the next frame of the screen. */
  draw() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = null;
      this.#draw();
    });
  }

  get shown() { return Math.max(SHOWN_AT_LEAST_S, this.take ? this.take.length / this.rate : 0); }

  move(seconds) {
    this.head.style.left = `${(100 * seconds) / this.shown}%`;
  }

  #draw() {
    const scale = devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * scale), height = Math.round(this.canvas.clientHeight * scale);
    if (!width || !height) return;
    Object.assign(this.canvas, { width, height });
    const columns = this.take?.columns ?? [];
    if (!columns.length) return;
    const picture = new ImageData(width, BANDS);
    const colours = palette(getComputedStyle(this.canvas).getPropertyValue("--spectrum"));
    const pixels = new Uint32Array(picture.data.buffer);
    const perPixel = (this.shown * this.rate) / HOP / width;
    for (let x = 0; x < width; x++) {
      const from = Math.floor(x * perPixel);
      if (from >= columns.length) break;
      const to = Math.min(columns.length, Math.max(from + 1, Math.floor((x + 1) * perPixel)));
      for (let band = 0; band < BANDS; band++) {
        let loudest = 0;
        for (let n = from; n < to; n++) loudest = Math.max(loudest, columns[n][band]);
        pixels[(BANDS - 1 - band) * width + x] = colours[loudest];
      }
    }
    const small = new OffscreenCanvas(width, BANDS);
    small.getContext("2d").putImageData(picture, 0, 0);
    this.brush.imageSmoothingQuality = "high";
    this.brush.drawImage(small, 0, 0, width, height);
  }
}

/** 256 colours, from those of the style sheet: hexadecimal, parted by blanks, from silent to loud. */
function palette(text) {
  const stops = text.trim().split(/\s+/).map((colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));
  return Uint32Array.from({ length: 256 }, (_, value) => {
    const place = (value / 255) * (stops.length - 1);
    const index = Math.min(stops.length - 2, Math.floor(place));
    const [red, green, blue] = stops[index].map((from, n) => Math.round(from + (stops[index + 1][n] - from) * (place - index)));
    return value === 0 ? 0 : (255 << 24) | (blue << 16) | (green << 8) | red;
  });
}
