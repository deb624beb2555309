import { type Buffer, OpError, type OutOfMemoryError, type Program } from "@ziggurat/tensor";
import { type Call, fuse } from "./fuse.js";
import type { Memory } from "./memory.js";
import { uniformBytes } from "./pipelines.js";
import type { Resolver } from "./resolver.js";
import type { Traits } from "./stage.js";
import type { Bound, Command, Stream } from "./stream.js";
import { usage } from "./usage.js";

interface Recorded {
  readonly commands: readonly Bound[];
  readonly uniforms: GPUBuffer;
  readonly buffers: ReadonlySet<Buffer>;
  /** The count of frees at which its buffers were last seen to be there. */
  checked: number;
  /** Whether a command's operands could not be allocated. */
  readonly failed: OutOfMemoryError | undefined;
}

/** Recorded programs: bind groups and uniforms are made once. */
export class Programs {
  readonly #device: GPUDevice;
  readonly #stream: Stream;
  readonly #memory: Memory;
  readonly #programs = new Map<Program, Recorded>();
  readonly #resolver: Resolver;
  readonly #traits: Traits;
  #recording: Call[] | undefined;

  constructor(device: GPUDevice, traits: Traits, stream: Stream, memory: Memory, resolver: Resolver) {
    this.#device = device;
    this.#traits = traits;
    this.#resolver = resolver;
    this.#stream = stream;
    this.#memory = memory;
  }

  /** Where dispatches go while a program is recorded. */
  get recording(): Call[] | undefined {
    return this.#recording;
  }

  /** Whether scratch memory of before may still be used. */
  get keep(): boolean {
    return this.#programs.size > 0 || this.#recording !== undefined;
  }

  record(body: () => void): Program {
    const recording: Call[] = [];
    this.#recording = recording;
    const commands: Command[] = [];
    let failed: OutOfMemoryError | undefined;
    try {
      body();
      for (const { kernel, operands } of fuse(recording, this.#traits)) {
        const resolved = this.#resolver.resolve(kernel, operands, true);
        if (resolved instanceof Error) failed ??= resolved;
        else commands.push(...resolved);
      }
    } finally {
      this.#recording = undefined;
    }
    const buffers = new Set(
      recording.flatMap(({ operands }) => Object.values(operands).flatMap((slice) => (slice ? [slice.buffer] : []))),
    );
    const program: Program = { dispatches: commands.length };
    const slots = new Uint32Array((Math.max(1, commands.length) * uniformBytes) / 4);
    commands.forEach(({ uniforms }, slot) => slots.set(uniforms, (slot * uniformBytes) / 4));
    const uniforms = this.#memory.create(slots.byteLength, usage.uniform | usage.copyTarget);
    this.#device.queue.writeBuffer(uniforms, 0, slots);
    const bound = commands.map((command, slot) => this.#stream.bind(command, uniforms, slot * uniformBytes));
    this.#programs.set(program, { commands: bound, uniforms, buffers, checked: this.#memory.frees, failed });
    return program;
  }

  /** Enqueues a program. Returns why it cannot run, where its operands were never allocated. */
  replay(program: Program): OutOfMemoryError | undefined {
    const recorded = this.#find("replay", program);
    const { frees } = this.#memory;
    if (recorded.checked !== frees) {
      for (const buffer of recorded.buffers) {
        if (!this.#memory.has(buffer))
          throw new OpError(`replay: a buffer of ${buffer.bytes} bytes that this program uses was freed`);
      }
      recorded.checked = frees;
    }
    if (!recorded.failed) for (const command of recorded.commands) this.#stream.encode(command);
    return recorded.failed;
  }

  release(program: Program): void {
    const { uniforms, commands } = this.#find("release", program);
    this.#programs.delete(program);
    this.#memory.destroy(uniforms);
    for (const { copies } of commands) for (const { target } of copies) this.#stream.destroy(target);
    if (this.#programs.size === 0) this.#memory.dropRetired();
  }

  clear(): void {
    this.#programs.clear();
  }

  #find(what: string, program: Program): Recorded {
    const found = this.#programs.get(program);
    if (!found) throw new OpError(`${what}: this program was released, or is of another backend`);
    return found;
  }
}
