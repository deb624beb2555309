import { bytes } from "./format.js";
import type { Snapshot } from "./run.js";

const shown = [
  ["cache", "rows kept"],
  ["room", "room for the answer"],
  ["scratch", "one layer in full, while reading"],
] as const;

/** Shows the bytes of K and V by their purpose, beside those of a full cache. */
export class Meters {
  readonly #items: ReadonlyMap<string, { readonly bar: HTMLElement; readonly value: HTMLElement }>;
  readonly #total: HTMLElement;
  readonly #full: HTMLElement;

  constructor(root: HTMLElement, total: HTMLElement, full: HTMLElement) {
    this.#total = total;
    this.#full = full;
    this.#items = new Map(
      shown.map(([label, title]) => {
        const name = document.createElement("dt");
        name.textContent = title;
        const value = document.createElement("dd");
        const bar = document.createElement("i");
        bar.className = "meter-bar";
        const number = document.createElement("span");
        number.className = "meter-value";
        number.textContent = "–";
        value.append(bar, number);
        root.append(name, value);
        return [label, { bar, value: number }];
      }),
    );
  }

  show({ bytes: now, fullBytes }: Snapshot): void {
    let total = 0;
    for (const [label, { bar, value }] of this.#items) {
      const held = now[label] ?? 0;
      total += held;
      bar.style.setProperty("--part", String(Math.min(1, held / fullBytes)));
      value.textContent = bytes(held);
    }
    this.#total.textContent = bytes(total);
    this.#full.textContent = `A full cache of this prompt holds ${bytes(fullBytes)}.`;
  }
}
