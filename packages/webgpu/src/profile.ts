import { mapRead, usage } from "./usage.js";

/** How often an op ran, and how long it took on the device. */
export interface Timing {
  readonly op: string;
  readonly dispatches: number;
  readonly microseconds: number;
}

/** Most dispatches of one submission that are timed. */
const most = 1024;
const queryResolve = 512;

/**
 * The time that a device spends on each op: pass one to `webgpu({ profile })`. Every dispatch runs in a separate pass,
 * so the total is longer than without a profile. It stays empty if the adapter has no timestamp queries. Dawn rounds
 * them to 100 us unless started with disable-dawn-features=timestamp_quantization.
 */
export class GpuProfile {
  readonly #totals = new Map<string, { dispatches: number; microseconds: number }>();
  #queries: GPUQuerySet | undefined;
  #ops: string[] = [];
  #device: GPUDevice | undefined;
  #staging: GPUBuffer | undefined;

  /** Timings since the last `reset`, the longest first. */
  get timings(): readonly Timing[] {
    return [...this.#totals].map(([op, total]) => ({ op, ...total })).sort((a, b) => b.microseconds - a.microseconds);
  }

  reset(): void {
    this.#totals.clear();
  }

  /** Describes the pass of the next dispatch. @internal */
  next(device: GPUDevice, op: string): GPUComputePassDescriptor {
    if (!device.features.has("timestamp-query") || this.#ops.length === most) return {};
    this.#device = device;
    this.#queries ??= device.createQuerySet({ type: "timestamp", count: 2 * most });
    const first = 2 * this.#ops.length;
    this.#ops.push(op);
    return {
      timestampWrites: { querySet: this.#queries, beginningOfPassWriteIndex: first, endOfPassWriteIndex: first + 1 },
    };
  }

  /** Resolves the queries; call it at the end of a submission's commands. @internal */
  resolve(encoder: GPUCommandEncoder): void {
    if (this.#ops.length === 0) return;
    const size = 16 * this.#ops.length;
    const resolved = this.#device!.createBuffer({ size, usage: queryResolve | usage.copySource });
    this.#staging = this.#device!.createBuffer({ size, usage: usage.mapRead | usage.copyTarget });
    encoder.resolveQuerySet(this.#queries!, 0, 2 * this.#ops.length, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, this.#staging, 0, size);
  }

  /** Collects the timings; call it after the commands were submitted. @internal */
  collect(): void {
    const staging = this.#staging;
    const ops = this.#ops;
    this.#staging = undefined;
    this.#ops = [];
    staging?.mapAsync(mapRead).then(
      () => {
        const times = new BigUint64Array(staging.getMappedRange());
        ops.forEach((op, index) => this.#add(op, Number(times[2 * index + 1]! - times[2 * index]!) / 1000));
        staging.destroy();
      },
      () => {},
    );
  }

  #add(op: string, microseconds: number): void {
    const total = this.#totals.get(op) ?? { dispatches: 0, microseconds: 0 };
    this.#totals.set(op, { dispatches: total.dispatches + 1, microseconds: total.microseconds + microseconds });
  }
}
