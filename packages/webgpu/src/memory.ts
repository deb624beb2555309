import {
  type Buffer,
  BufferError,
  Ledger,
  labelsOf,
  type MemoryReport,
  OutOfMemoryError,
  type Slice,
} from "@ziggurat/tensor";
import { padded } from "./binding.js";
import type { Failures } from "./failures.js";
import type { Stream } from "./stream.js";
import { usage } from "./usage.js";

/** What a buffer holds: its bytes on the device, or why it has none. */
interface Held {
  labels: Readonly<Record<string, number>>;
  place: GPUBuffer | OutOfMemoryError;
}

/** The buffers of one device, counted. */
export class Memory {
  readonly #device: GPUDevice;
  readonly #stream: Stream;
  readonly #failures: Failures;
  readonly #maxBytes: number;
  readonly #ledger = new Ledger();
  readonly #buffers = new Map<Buffer, Held>();
  /** What the device still has to answer. */
  readonly #questions = new Set<Promise<void>>();
  /** What kernels leave for their next stage; grows. Older ones live on while a program may use them. */
  #scratch: GPUBuffer | undefined;
  readonly #retired: GPUBuffer[] = [];
  #reserved: number;
  #frees = 0;

  constructor(device: GPUDevice, stream: Stream, failures: Failures, maxBytes: number) {
    this.#device = device;
    this.#stream = stream;
    this.#failures = failures;
    this.#maxBytes = maxBytes;
    this.#reserved = stream.bytes;
  }

  /** Counts up with every buffer that is freed. */
  get frees(): number {
    return this.#frees;
  }

  has(buffer: Buffer): boolean {
    return this.#buffers.has(buffer);
  }

  /** The bytes of a buffer; undefined where it was freed, or is another backend's. */
  place(buffer: Buffer): GPUBuffer | OutOfMemoryError | undefined {
    return this.#buffers.get(buffer)?.place;
  }

  /** The bytes behind a slice. Throws a `BufferError` where they are not there. */
  range(what: string, { buffer, offset }: Slice, bytes: number): GPUBuffer | OutOfMemoryError {
    if (!(offset % 4 === 0 && offset >= 0 && bytes >= 0 && offset + bytes <= buffer.bytes)) {
      throw new BufferError(
        `${what}: ${bytes} bytes from byte ${offset} (a multiple of 4) are not in a buffer of ${buffer.bytes}`,
      );
    }
    return this.#held(what, buffer).place;
  }

  /** Memory of the backend's own, for `destroy`. */
  create(size: number, purpose: number): GPUBuffer {
    const buffer = this.#device.createBuffer({ size, usage: purpose });
    this.#reserved += size;
    return buffer;
  }

  /** Destroys a buffer once the commands enqueued so far are submitted. */
  destroy(buffer: GPUBuffer): void {
    this.#reserved -= buffer.size;
    this.#stream.destroy(buffer);
  }

  allocate(bytes: number, label: string | Readonly<Record<string, number>>): Buffer {
    const labels = labelsOf(bytes, label);
    const buffer: Buffer = { bytes };
    const names = Object.keys(labels).join(", ");
    const entry: Held = { labels, place: new OutOfMemoryError(`allocate: ${bytes} bytes for ${names}`) };
    this.#buffers.set(buffer, entry);
    this.#ledger.count(labels, 1);
    const before = () => this.#ledger.live - bytes;
    const { maxBufferSize } = this.#device.limits;
    if (padded(bytes) > maxBufferSize || this.#ledger.live > this.#maxBytes) {
      const bound =
        padded(bytes) > maxBufferSize
          ? `a buffer of this device holds ${maxBufferSize}`
          : `of ${this.#maxBytes} in use`;
      this.#refuse(
        entry,
        new OutOfMemoryError(`allocate: ${bytes} bytes for ${names}, with ${before()} in use; ${bound}`),
      );
      return buffer;
    }
    this.#device.pushErrorScope("out-of-memory");
    const place = this.create(padded(bytes), usage.storage | usage.copySource | usage.copyTarget);
    entry.place = place;
    this.#ask(
      this.#device.popErrorScope().then((error) => {
        if (!error || !this.#buffers.has(buffer)) return;
        this.destroy(place);
        this.#refuse(
          entry,
          new OutOfMemoryError(`allocate: ${bytes} bytes for ${names}, with ${before()} in use: ${error.message}`),
        );
      }),
    );
    return buffer;
  }

  free(buffer: Buffer): void {
    const { labels, place } = this.#held("free", buffer);
    this.#ledger.count(labels, -1);
    this.#buffers.delete(buffer);
    this.#frees++;
    if (!(place instanceof OutOfMemoryError)) this.destroy(place);
  }

  /** Memory of `bytes` that stages of one op share. `kept`: whether a program may use the one before. */
  scratch(bytes: number, kept: boolean): GPUBuffer | undefined {
    if (bytes === 0 || (this.#scratch && this.#scratch.size >= bytes)) return this.#scratch;
    if (this.#scratch && kept) this.#retired.push(this.#scratch);
    else if (this.#scratch) this.destroy(this.#scratch);
    this.#scratch = this.create(padded(bytes), usage.storage);
    return this.#scratch;
  }

  /** Once no program is left. */
  dropRetired(): void {
    for (const buffer of this.#retired.splice(0)) this.destroy(buffer);
  }

  /** Resolves when the device has said whether it has the memory asked for so far. */
  async answered(): Promise<void> {
    await Promise.all(this.#questions);
  }

  report(): MemoryReport {
    return this.#ledger.report(this.#reserved);
  }

  resetPeak(): void {
    this.#ledger.resetPeak();
  }

  /** Every buffer is gone, with the device. */
  clear(): void {
    for (const { labels } of this.#buffers.values()) this.#ledger.count(labels, -1);
    this.#buffers.clear();
    this.#reserved = 0;
  }

  #held(what: string, buffer: Buffer): Held {
    const found = this.#buffers.get(buffer);
    if (!found)
      throw new BufferError(`${what}: this buffer of ${buffer.bytes} bytes was freed, or is of another backend`);
    return found;
  }

  /** Takes back what the ledger counted, of a buffer that the device could not give. */
  #refuse(entry: Held, error: OutOfMemoryError): void {
    this.#ledger.count(entry.labels, -1);
    entry.labels = {};
    entry.place = error;
    this.#failures.note(error);
  }

  #ask(question: Promise<void>): void {
    const asked = question.catch(() => {}).finally(() => this.#questions.delete(asked));
    this.#questions.add(asked);
  }
}
