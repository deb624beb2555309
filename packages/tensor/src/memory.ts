import type { LabelBytes, MemoryReport } from "./backend.js";
import { BufferError } from "./error.js";

type Labels = Readonly<Record<string, number>>;

/** The labels that a buffer of `bytes` counts under. Throws a {@link BufferError} if their bytes do not add up. */
export function labelsOf(bytes: number, label: string | Labels): Labels {
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new BufferError(`allocate: ${bytes} bytes; it must be a whole number of at least 0`);
  }
  if (typeof label === "string") return { [label]: bytes };
  const shares = Object.values(label);
  const sum = shares.reduce((a, b) => a + b, 0);
  if (sum !== bytes || shares.some((share) => !(share >= 0))) {
    throw new BufferError(`allocate: the labels of ${bytes} bytes add up to ${sum}: ${JSON.stringify(label)}`);
  }
  return label;
}

/** Counts the bytes of buffers by label, with their peaks: what a backend's `memory()` reports. */
export class Ledger {
  #total = { live: 0, peak: 0 };
  readonly #labels = new Map<string, { live: number; peak: number }>();

  get live(): number {
    return this.#total.live;
  }

  /** Adds `sign` times the bytes of each label. */
  count(labels: Labels, sign: 1 | -1): void {
    for (const [label, bytes] of Object.entries(labels)) {
      const entry = this.#labels.get(label) ?? { live: 0, peak: 0 };
      this.#labels.set(label, entry);
      entry.live += sign * bytes;
      entry.peak = Math.max(entry.peak, entry.live);
      this.#total.live += sign * bytes;
    }
    // After the loop, because the labels of one buffer come and go together.
    this.#total.peak = Math.max(this.#total.peak, this.#total.live);
  }

  resetPeak(): void {
    for (const entry of [this.#total, ...this.#labels.values()]) entry.peak = entry.live;
  }

  report(reserved: number): MemoryReport {
    const labels = Object.fromEntries(
      [...this.#labels].map(([label, entry]): [string, LabelBytes] => [label, { ...entry }]),
    );
    return { ...this.#total, reserved, labels };
  }
}
