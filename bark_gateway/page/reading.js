// Shows the text while it is spoken, and marks the word that is heard.
//
// The server tells each piece of the text as it is spoken. Numbers may have become words and marks may be gone, so the
// words of a piece are looked for in the text, one after the other.

const LOOK_AHEAD = 8; // words of the text that a word of a piece may be away
const LEAST_S_PER_LETTER = 0.055; // how fast a piece is taken to be spoken whose end is not there yet

export class Reading {
  constructor(element) {
    this.element = element;
    this.words = [];
  }

  /** Show a text. Nothing is marked. */
  show(text) {
    this.text = text;
    this.words = [];
    this.element.replaceChildren();
    this.element.scrollTop = 0;
    for (const part of text.split(/(\s+)/)) {
      if (!part) continue;
      if (/\s/.test(part)) this.element.append(part);
      else this.element.append(this.#word(part));
    }
    this.at = -1;
  }

  #word(part) {
    const element = document.createElement("span");
    element.textContent = part;
    this.words.push({ element, plain: plain(part) });
    return element;
  }

  /** Mark what is heard. pieces: of a take, in order; seconds: where the player is. */
  move(pieces, seconds, received) {
    let cursor = 0, heard = -1;
    for (const piece of pieces) {
      if (piece.start > seconds) break;
      const spoken = piece.text.split(/\s+/).filter(Boolean);
      const places = this.#places(spoken.map(plain), cursor);
      const letters = piece.text.length;
      const end = piece.end ?? Math.max(received, piece.start + letters * LEAST_S_PER_LETTER);
      let said = ((seconds - piece.start) / Math.max(0.01, end - piece.start)) * letters;
      for (let n = 0; n < spoken.length && said >= 0; n++) {
        heard = Math.max(heard, places[n]);
        said -= spoken[n].length + 1;
      }
      cursor = places.length ? places.at(-1) + 1 : cursor;
    }
    this.#mark(heard);
  }

  /** Where in the text each word of a piece is; a word that is not there is where the one before it is. */
  #places(spoken, cursor) {
    let last = cursor - 1;
    return spoken.map((word) => {
      const ahead = this.words.slice(last + 1, last + 1 + LOOK_AHEAD).findIndex((one) => one.plain === word);
      if (word && ahead >= 0) last += ahead + 1;
      return Math.max(last, 0);
    });
  }

  #mark(heard) {
    if (heard === this.at) return;
    this.words.forEach(({ element }, n) => {
      const kind = n === heard ? "now" : n < heard ? "said" : "";
      if (element.className !== kind) element.className = kind;
    });
    this.at = heard;
    const element = this.words[heard]?.element;
    if (!element) return;
    const box = this.element.getBoundingClientRect(), word = element.getBoundingClientRect();
    if (word.bottom > box.bottom - 16 || word.top < box.top) this.element.scrollTop += word.top - box.top - box.height / 3;
  }
}

const plain = (word) => word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
