import type { DeviceLostError } from "./error.js";

/** What went wrong since it was last told of, and whether the device is gone. */
export class Failures {
  readonly #lost: Promise<DeviceLostError>;
  #first: unknown;
  #gone: DeviceLostError | undefined;

  /** `lost` resolves when the device is gone. */
  constructor(lost: Promise<DeviceLostError>) {
    this.#lost = lost;
  }

  /** Keeps the first error until it is told. */
  note(error: unknown): void {
    this.#first ??= error;
  }

  lose(error: DeviceLostError): void {
    this.#gone = error;
  }

  /** Waits for work, unless the device goes first. */
  async outlast(work: Promise<unknown>): Promise<void> {
    await Promise.race([work.catch(() => {}), this.#lost]);
  }

  /** A device that is going tells why a moment later. */
  async last(): Promise<void> {
    this.#gone ??= await Promise.race([this.#lost, new Promise<undefined>((done) => setTimeout(done, 100))]);
  }

  /** Throws what went wrong, once; that the device is gone, every time. */
  settle(): void {
    if (this.#gone) throw this.#gone;
    const error = this.#first;
    this.#first = undefined;
    if (error !== undefined) throw error;
  }
}
