import type { DeviceLostError } from "./error.js";

/** The first unreported error of a device, and whether the device was lost. */
export class Failures {
  readonly #lost: Promise<DeviceLostError>;
  #first: unknown;
  #gone: DeviceLostError | undefined;

  /** `lost` resolves when the device is lost. */
  constructor(lost: Promise<DeviceLostError>) {
    this.#lost = lost;
  }

  /** Keeps the first error until {@link settle} throws it. */
  note(error: unknown): void {
    this.#first ??= error;
  }

  /** Marks the device lost; every later {@link settle} throws `error`. */
  lose(error: DeviceLostError): void {
    this.#gone = error;
  }

  /** Waits for `work`, or until the device is lost. */
  async outlast(work: Promise<unknown>): Promise<void> {
    await Promise.race([work.catch(() => {}), this.#lost]);
  }

  /** Waits briefly for the reason of a loss: a device reports it a moment after its calls start to fail. */
  async last(): Promise<void> {
    this.#gone ??= await Promise.race([this.#lost, new Promise<undefined>((done) => setTimeout(done, 100))]);
  }

  /** Throws the first error, once; if the device was lost, throws that every time. */
  settle(): void {
    if (this.#gone) throw this.#gone;
    const error = this.#first;
    this.#first = undefined;
    if (error !== undefined) throw error;
  }
}
