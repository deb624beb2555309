import { CpuError } from "./error.js";
import type { Thread } from "./host.js";
import type { Report } from "./messages.js";

type Answer = Uint8Array<ArrayBuffer> | undefined;

/**
 * Promises for the workers' answers, by number. While one is open, the workers keep the process alive. When a worker
 * fails, or all are stopped, they reject.
 */
export class Waiting {
  readonly #open = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }[]>();
  #failure: Error | undefined;
  threads: readonly Thread[] = [];

  async answer(number: number): Promise<Answer> {
    if (this.#failure) throw this.#failure;
    if (this.#open.size === 0) for (const thread of this.threads) thread.hold(true);
    return await new Promise<Answer>((resolve, reject) => {
      const entries = this.#open.get(number) ?? [];
      entries.push({ resolve, reject });
      this.#open.set(number, entries);
    });
  }

  report(report: Report): void {
    if ("error" in report) this.fail(report.error);
    if (!("done" in report)) return;
    const entries = this.#open.get(report.done) ?? [];
    this.#open.delete(report.done);
    for (const { resolve } of entries) resolve(report.data);
    if (this.#open.size === 0) for (const thread of this.threads) thread.hold(false);
  }

  fail(reason: string): void {
    this.end(new CpuError(`a worker of the CPU backend failed: ${reason}; the backend can only be disposed of`));
  }

  /** Rejects all promises, open and future. */
  end(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    const entries = [...this.#open.values()].flat();
    this.#open.clear();
    for (const { reject } of entries) reject(error);
    // The other workers may be waiting for the one that failed.
    for (const thread of this.threads) {
      thread.hold(false);
      void thread.stop();
    }
  }

  /** Throws if no more answers come. */
  check(): void {
    if (this.#failure) throw this.#failure;
  }
}
