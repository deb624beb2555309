import { count } from "./format.js";

/** Rows per layer as a stack of centred bars, the first layer at the bottom: a pyramid of budgets looks like one. */
export class Stack {
  readonly #root: HTMLElement;
  readonly #caption: HTMLElement;
  #bars: HTMLElement[] = [];

  constructor(root: HTMLElement, caption: HTMLElement) {
    this.#root = root;
    this.#caption = caption;
  }

  /**
   * `rows` of the layers that are there, of `layers`; the next one is being read if `reading`. A full bar is `most`
   * rows.
   */
  show(rows: readonly number[], { layers, most, reading }: { layers: number; most: number; reading: boolean }): void {
    if (this.#bars.length !== layers) this.#build(layers);
    this.#bars.forEach((bar, layer) => {
      const held = rows[layer];
      const busy = reading && layer === rows.length;
      bar.dataset.state = held !== undefined ? "held" : busy ? "busy" : "empty";
      bar.style.setProperty("--part", String(busy ? 1 : Math.min(1, (held ?? 0) / most)));
      bar.querySelector("output")!.textContent = held === undefined ? (busy ? "reading" : "") : count(Math.round(held));
    });
    this.#caption.textContent =
      rows.length === 0
        ? "No rows yet."
        : `Rows of a KV head in ${rows.length} of ${layers} layers; the widest bar is ${count(Math.round(Math.max(...rows)))}.`;
  }

  #build(layers: number): void {
    this.#bars = Array.from({ length: layers }, (_, layer) => {
      const item = document.createElement("li");
      const name = document.createElement("span");
      name.textContent = `layer ${layer}`;
      const bar = document.createElement("i");
      bar.className = "layer-bar";
      item.append(name, bar, document.createElement("output"));
      return item;
    });
    this.#root.replaceChildren(...this.#bars.toReversed());
  }
}
