import type { Binding } from "./binding.js";
import type { Pace } from "./pace.js";
import { type Pipeline, uniformBytes } from "./pipelines.js";
import type { GpuProfile } from "./profile.js";
import { usage } from "./usage.js";

/** A dispatch whose pipeline, bindings and uniforms are resolved. */
export interface Command extends Pipeline {
  readonly op: string;
  readonly bindings: readonly Binding[];
  readonly uniforms: Uint32Array;
  readonly grid: readonly [number, number, number];
  readonly work: number;
}

/** A command whose bind group was created. */
export interface Bound {
  readonly op: string;
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly grid: readonly [number, number, number];
  readonly work: number;
  readonly copies: readonly Copy[];
}

interface Copy {
  readonly source: GPUBuffer;
  readonly offset: number;
  readonly target: GPUBuffer;
  readonly bytes: number;
}

/** Most dispatches of one submission: the ring has uniforms for this many. */
const most = 512;

/** A queue of commands. It encodes them in order as they are enqueued, and submits before they are too many or long. */
export class Stream {
  readonly #device: GPUDevice;
  readonly #pace: Pace;
  readonly #profile: GpuProfile | undefined;
  readonly #uniforms = new Uint32Array((most * uniformBytes) / 4);
  readonly #ring: GPUBuffer;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #dispatches = 0;
  #used = 0;
  #work = 0;
  #doomed: GPUBuffer[] = [];

  constructor(device: GPUDevice, pace: Pace, profile?: GpuProfile) {
    this.#device = device;
    this.#pace = pace;
    this.#profile = profile;
    this.#ring = device.createBuffer({ size: most * uniformBytes, usage: usage.uniform | usage.copyTarget });
  }

  /** Bytes of the uniform ring. */
  get bytes(): number {
    return this.#ring.size;
  }

  /** Whether commands wait for {@link flush}. */
  get pending(): boolean {
    return this.#encoder !== undefined;
  }

  /** Dispatches that wait for {@link flush}. */
  get dispatches(): number {
    return this.#dispatches;
  }

  /** Runs a command once. */
  run(command: Command): void {
    if (this.#used === most) this.flush();
    const slot = this.#used++;
    this.#uniforms.set(command.uniforms, (slot * uniformBytes) / 4);
    const bound = this.bind(command, this.#ring, slot * uniformBytes);
    this.encode(bound);
    for (const { target } of bound.copies) this.destroy(target);
  }

  /** Creates the bind group of a command. The caller destroys the targets of its copies. */
  bind({ op, pipeline, layout, bindings, grid, work }: Command, uniforms: GPUBuffer, offset: number): Bound {
    const copies: Copy[] = [];
    const resources = bindings.flatMap(({ buffer, stretches, copied }) =>
      stretches.map(({ offset, size }) => {
        if (!copied) return { buffer, offset, size };
        const target = this.#device.createBuffer({ size, usage: usage.storage | usage.copyTarget });
        copies.push({ source: buffer, offset, target, bytes: size });
        return { buffer: target, offset: 0, size };
      }),
    );
    const entries = resources.map((resource, index): GPUBindGroupEntry => ({ binding: index + 1, resource }));
    const group = this.#device.createBindGroup({
      layout,
      entries: [{ binding: 0, resource: { buffer: uniforms, offset, size: uniformBytes } }, ...entries],
    });
    return { op, pipeline, group, grid, work, copies };
  }

  encode({ op, pipeline, group, grid, work, copies }: Bound): void {
    for (const { source, offset, target, bytes } of copies) this.copy(source, offset, target, bytes);
    if (this.#profile) {
      this.#pass?.end();
      this.#pass = this.#commands().beginComputePass(this.#profile.next(this.#device, op));
    }
    if (!this.#pass) this.#pass = this.#commands().beginComputePass();
    const pass = this.#pass;
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(grid[0], grid[1], grid[2]);
    this.#work += work;
    if (++this.#dispatches >= most || this.#work >= this.#pace.limit) this.flush();
  }

  copy(source: GPUBuffer, offset: number, target: GPUBuffer, bytes: number): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#commands().copyBufferToBuffer(source, offset, target, 0, bytes);
  }

  /** Writes in order: commands enqueued before it see the old bytes. */
  write(target: GPUBuffer, offset: number, data: Uint8Array): void {
    this.flush();
    this.#device.queue.writeBuffer(target, offset, data as Uint8Array<ArrayBuffer>);
  }

  /** Destroys a buffer once the commands enqueued so far are submitted. */
  destroy(buffer: GPUBuffer): void {
    if (this.pending) this.#doomed.push(buffer);
    else buffer.destroy();
  }

  /** Submits all enqueued commands. */
  flush(): void {
    if (this.#encoder) {
      this.#pass?.end();
      const { queue } = this.#device;
      if (this.#used > 0) queue.writeBuffer(this.#ring, 0, this.#uniforms, 0, (this.#used * uniformBytes) / 4);
      this.#profile?.resolve(this.#encoder);
      queue.submit([this.#encoder.finish()]);
      this.#profile?.collect();
      const work = this.#work;
      const since = performance.now();
      if (work > 0) queue.onSubmittedWorkDone().then(() => this.#pace.done(work, since), ignore);
    }
    this.#encoder = undefined;
    this.#pass = undefined;
    this.#dispatches = 0;
    this.#used = 0;
    this.#work = 0;
    for (const buffer of this.#doomed.splice(0)) buffer.destroy();
  }

  #commands(): GPUCommandEncoder {
    this.#encoder ??= this.#device.createCommandEncoder();
    return this.#encoder;
  }
}

/** Ignores the rejection of a lost device, which `Failures` reports. */
const ignore = () => {};
