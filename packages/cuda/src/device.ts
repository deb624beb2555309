import { OutOfMemoryError } from "@ziggurat/tensor";
import type { Addon, DeviceFacts, FailureKind, Handle } from "./addon.js";
import { CudaError } from "./error.js";
import type { Launch } from "./launch.js";

interface Answer {
  readonly error: CudaError | OutOfMemoryError | undefined;
  readonly data: Uint8Array<ArrayBuffer>;
}

const errorOf = (kind: FailureKind, message: string) =>
  kind === 0 ? undefined : kind === 1 ? new OutOfMemoryError(message) : new CudaError(message);

/** Wraps a device of the addon: promises instead of tickets, and kernels by name. */
export class Device {
  readonly facts: DeviceFacts;
  readonly #addon: Addon;
  readonly #handle: Handle;
  readonly #images: ReadonlyMap<string, Uint8Array>;
  readonly #modules = new Map<string, number>();
  readonly #kernels = new Map<string, number>();
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #next = 1;

  /**
   * Opens a device. cublasLt: see `Addon.open`. `lost` is called with the buffers whose allocation failed. Throws a
   * {@link CudaError} if the device cannot be opened.
   */
  constructor(
    addon: Addon,
    images: ReadonlyMap<string, Uint8Array>,
    { ordinal, cublasLt }: { readonly ordinal: number; readonly cublasLt: string | undefined },
    lost: (buffers: readonly number[]) => void,
  ) {
    this.#addon = addon;
    this.#images = images;
    try {
      const { device, ...facts } = addon.open(
        ordinal,
        (ticket, kind, message, buffers, data) => {
          if (buffers.length > 0) lost(buffers);
          const answer = this.#waiting.get(ticket);
          this.#waiting.delete(ticket);
          answer?.({ error: errorOf(kind, message), data });
        },
        cublasLt,
      );
      this.#handle = device;
      this.facts = facts;
    } catch (cause) {
      throw new CudaError(
        `device ${ordinal} could not be opened: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    }
  }

  /** Whether the binaries contain the kernels of native/<file>.cu. */
  has(file: string): boolean {
    return this.#images.has(file);
  }

  id(): number {
    return this.#next++;
  }

  allocate(buffer: number, bytes: number): void {
    this.#addon.allocate(this.#handle, buffer, bytes);
  }
  free(buffer: number): void {
    this.#addon.free(this.#handle, buffer);
  }
  write(buffer: number, offset: number, data: Uint8Array): void {
    this.#addon.write(this.#handle, buffer, offset, data);
  }
  read(buffer: number, offset: number, bytes: number): Promise<Answer> {
    return this.#answer((ticket) => this.#addon.read(this.#handle, buffer, offset, bytes, ticket));
  }
  synchronise(): Promise<Answer> {
    return this.#answer((ticket) => this.#addon.synchronise(this.#handle, ticket));
  }
  launch(commands: Uint8Array): void {
    this.#addon.launch(this.#handle, commands);
  }
  record(program: number, commands: Uint8Array): void {
    this.#addon.record(this.#handle, program, commands);
  }
  replay(program: number): void {
    this.#addon.replay(this.#handle, program);
  }
  release(program: number): void {
    this.#addon.release(this.#handle, program);
  }
  reserved(): number {
    return this.#addon.reserved(this.#handle);
  }
  async close(): Promise<void> {
    await this.#answer((ticket) => this.#addon.close(this.#handle, ticket));
    this.#addon.destroy(this.#handle);
  }

  /** The id of the kernel of a launch. The first use of a file loads all kernels of the file. */
  kernel({ file, kernel, shared = 0 }: Launch): number {
    const key = `${kernel} ${shared > 48 * 1024 ? shared : 0}`;
    const known = this.#kernels.get(key);
    if (known !== undefined) return known;
    if (shared > this.facts.sharedBytes) {
      throw new CudaError(
        `${kernel} needs ${shared} bytes of shared memory; ${this.facts.name} has ${this.facts.sharedBytes} a block`,
      );
    }
    let module = this.#modules.get(file);
    if (module === undefined) {
      const image = this.#images.get(file);
      if (!image) throw new CudaError(`the binaries hold no kernels of ${file}; they are of another version`);
      module = this.id();
      this.#modules.set(file, module);
      this.#addon.load(this.#handle, module, image);
    }
    const id = this.id();
    this.#kernels.set(key, id);
    this.#addon.kernel(this.#handle, id, module, kernel, shared > 48 * 1024 ? shared : 0);
    return id;
  }

  #answer(ask: (ticket: number) => void): Promise<Answer> {
    return new Promise((resolve) => {
      const ticket = this.id();
      this.#waiting.set(ticket, resolve);
      ask(ticket);
    });
  }
}
