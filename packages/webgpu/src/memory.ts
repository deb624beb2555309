import { type Buffer, BufferTable, labelsOf, type MemoryReport, OutOfMemoryError } from "@ziggurat/tensor";
import { padded } from "./binding.js";
import type { Failures } from "./failures.js";
import type { Stream } from "./stream.js";
import { usage } from "./usage.js";

/** The memory of a buffer on the device, or the error that left it without. */
interface Held {
  place: GPUBuffer | OutOfMemoryError;
}

/** The buffers of one device. */
export class Memory {
  readonly #device: GPUDevice;
  readonly #stream: Stream;
  readonly #failures: Failures;
  readonly #maxBytes: number;
  readonly buffers = new BufferTable<Held>();
  /** Allocations that the device has not yet confirmed. */
  readonly #questions = new Set<Promise<void>>();
  /** Results that a stage leaves for the next one of its op. It grows; older ones stay while a program may use them. */
  #scratch: GPUBuffer | undefined;
  readonly #retired: GPUBuffer[] = [];
  #reserved: number;

  constructor(device: GPUDevice, stream: Stream, failures: Failures, maxBytes: number) {
    this.#device = device;
    this.#stream = stream;
    this.#failures = failures;
    this.#maxBytes = maxBytes;
    this.#reserved = stream.bytes;
  }

  /** Creates a buffer for the backend itself; release it with {@link destroy}. */
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
    const names = Object.keys(labels).join(", ");
    const entry: Held = { place: new OutOfMemoryError(`allocate: ${bytes} bytes for ${names}`) };
    const buffer = this.buffers.add(bytes, labels, entry);
    const before = () => this.buffers.live - bytes;
    const { maxBufferSize } = this.#device.limits;
    if (padded(bytes) > maxBufferSize || this.buffers.live > this.#maxBytes) {
      const bound =
        padded(bytes) > maxBufferSize
          ? `a buffer of this device holds ${maxBufferSize}`
          : `of ${this.#maxBytes} in use`;
      this.#refuse(
        buffer,
        new OutOfMemoryError(`allocate: ${bytes} bytes for ${names}, with ${before()} in use; ${bound}`),
      );
      return buffer;
    }
    this.#device.pushErrorScope("out-of-memory");
    const place = this.create(padded(bytes), usage.storage | usage.copySource | usage.copyTarget);
    entry.place = place;
    this.#ask(
      this.#device.popErrorScope().then((error) => {
        if (!error || !this.buffers.has(buffer)) return;
        this.destroy(place);
        this.#refuse(
          buffer,
          new OutOfMemoryError(`allocate: ${bytes} bytes for ${names}, with ${before()} in use: ${error.message}`),
        );
      }),
    );
    return buffer;
  }

  free(buffer: Buffer): void {
    const { place } = this.buffers.remove("free", buffer);
    if (!(place instanceof OutOfMemoryError)) this.destroy(place);
  }

  /** At least `bytes` of memory that stages of one op share. `kept`: whether a program may use the previous one. */
  scratch(bytes: number, kept: boolean): GPUBuffer | undefined {
    if (bytes === 0 || (this.#scratch && this.#scratch.size >= bytes)) return this.#scratch;
    if (this.#scratch && kept) this.#retired.push(this.#scratch);
    else if (this.#scratch) this.destroy(this.#scratch);
    this.#scratch = this.create(padded(bytes), usage.storage);
    return this.#scratch;
  }

  /** Destroys replaced scratch memory. Call it when no program is left. */
  dropRetired(): void {
    for (const buffer of this.#retired.splice(0)) this.destroy(buffer);
  }

  /** Resolves when the device has confirmed or refused all allocations so far. */
  async answered(): Promise<void> {
    await Promise.all(this.#questions);
  }

  report(): MemoryReport {
    return this.buffers.report(this.#reserved);
  }

  /** Forgets every buffer, because the device was destroyed. */
  dispose(): void {
    this.buffers.dispose();
    this.#reserved = 0;
  }

  /** Marks a buffer lost that the device could not allocate, and takes its bytes back from the count. */
  #refuse(buffer: Buffer, error: OutOfMemoryError): void {
    this.buffers.uncount(buffer);
    this.buffers.get(buffer)!.place = error;
    this.#failures.note(error);
  }

  #ask(question: Promise<void>): void {
    const asked = question.catch(() => {}).finally(() => this.#questions.delete(asked));
    this.#questions.add(asked);
  }
}
