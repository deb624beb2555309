import type { Device } from "./device.js";

/**
 * Temporary memory that all ops share. Commands run in order, so one buffer is enough. It is replaced if an op needs
 * more; a buffer that a recorded program uses stays until the program is released.
 */
export class Scratch {
  readonly #device: Device;
  readonly #holders = new Map<number, number>();
  #current: { readonly id: number; readonly bytes: number } | undefined;

  constructor(device: Device) {
    this.#device = device;
  }

  /** Returns the id of a buffer of at least `bytes`. */
  need(bytes: number): number {
    if (this.#current && this.#current.bytes >= bytes) return this.#current.id;
    const old = this.#current;
    this.#current = { id: this.#device.id(), bytes };
    if (old && !this.#holders.has(old.id)) this.#device.free(old.id);
    this.#device.allocate(this.#current.id, bytes);
    return this.#current.id;
  }

  /** Keeps a buffer for a recorded program. */
  hold(id: number): void {
    this.#holders.set(id, (this.#holders.get(id) ?? 0) + 1);
  }

  /** Drops a buffer of a recorded program that is released. */
  drop(id: number): void {
    const left = this.#holders.get(id)! - 1;
    if (left > 0) {
      this.#holders.set(id, left);
      return;
    }
    this.#holders.delete(id);
    if (id !== this.#current?.id) this.#device.free(id);
  }
}
