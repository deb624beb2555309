import { type OutOfMemoryError, type Program, ProgramTable } from "@ziggurat/tensor";
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
  /** The error if an operand of a command could not be allocated. */
  readonly failed: OutOfMemoryError | undefined;
}

/** The recorded programs, whose bind groups and uniforms are created once. */
export class Programs {
  readonly #device: GPUDevice;
  readonly #stream: Stream;
  readonly #memory: Memory;
  readonly #table: ProgramTable<Recorded, Call[]>;
  readonly #resolver: Resolver;
  readonly #traits: Traits;

  constructor(device: GPUDevice, traits: Traits, stream: Stream, memory: Memory, resolver: Resolver) {
    this.#device = device;
    this.#traits = traits;
    this.#resolver = resolver;
    this.#stream = stream;
    this.#memory = memory;
    this.#table = new ProgramTable(memory.buffers);
  }

  /** Throws if calls other than `dispatch` are not allowed now. */
  checkIdle(what: string): void {
    this.#table.checkIdle(what);
  }

  /** The dispatches so far of the program that is being recorded; undefined if none is. */
  get recording(): Call[] | undefined {
    return this.#table.recording;
  }

  /** Whether a program may still use earlier scratch memory. */
  get keep(): boolean {
    return this.#table.size > 0 || this.recording !== undefined;
  }

  record(body: () => void): Program {
    const recording: Call[] = [];
    const commands: Command[] = [];
    let failed: OutOfMemoryError | undefined;
    this.#table.record(recording, body);
    for (const { kernel, operands } of fuse(recording, this.#traits)) {
      const resolved = this.#resolver.resolve(kernel, operands, true);
      if (resolved instanceof Error) failed ??= resolved;
      else commands.push(...resolved);
    }
    const buffers = new Set(
      recording.flatMap(({ operands }) => Object.values(operands).flatMap((slice) => (slice ? [slice.buffer] : []))),
    );
    const slots = new Uint32Array((Math.max(1, commands.length) * uniformBytes) / 4);
    commands.forEach(({ uniforms }, slot) => slots.set(uniforms, (slot * uniformBytes) / 4));
    const uniforms = this.#memory.create(slots.byteLength, usage.uniform | usage.copyTarget);
    this.#device.queue.writeBuffer(uniforms, 0, slots);
    const bound = commands.map((command, slot) => this.#stream.bind(command, uniforms, slot * uniformBytes));
    return this.#table.add(commands.length, buffers, { commands: bound, uniforms, failed });
  }

  /** Enqueues a program. Returns the error if one of its operands was never allocated. */
  replay(program: Program): OutOfMemoryError | undefined {
    const recorded = this.#table.replay(program);
    if (!recorded.failed) for (const command of recorded.commands) this.#stream.encode(command);
    return recorded.failed;
  }

  release(program: Program): void {
    const { uniforms, commands } = this.#table.release(program);
    this.#memory.destroy(uniforms);
    for (const { copies } of commands) for (const { target } of copies) this.#stream.destroy(target);
    if (this.#table.size === 0) this.#memory.dropRetired();
  }

  clear(): void {
    this.#table.clear();
  }
}
