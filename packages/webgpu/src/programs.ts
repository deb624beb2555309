import { type Buffer, OpError, type OutOfMemoryError, type Program } from "@ziggurat/tensor";
import type { Memory } from "./memory.js";
import { uniformBytes } from "./pipelines.js";
import type { Given } from "./resolver.js";
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

/** A program that is being recorded. */
class Recording {
  readonly commands: Command[] = [];
  readonly buffers = new Set<Buffer>();
  dispatches = 0;
  failed: OutOfMemoryError | undefined;

  add(operands: Given, commands: readonly Command[] | OutOfMemoryError): void {
    this.dispatches++;
    for (const slice of Object.values(operands)) if (slice) this.buffers.add(slice.buffer);
    if (commands instanceof Error) this.failed ??= commands;
    else this.commands.push(...commands);
  }
}

/** Recorded programs: bind groups and uniforms are made once. */
export class Programs {
  readonly #device: GPUDevice;
  readonly #stream: Stream;
  readonly #memory: Memory;
  readonly #programs = new Map<Program, Recorded>();
  #recording: Recording | undefined;

  constructor(device: GPUDevice, stream: Stream, memory: Memory) {
    this.#device = device;
    this.#stream = stream;
    this.#memory = memory;
  }

  /** Where dispatches go while a program is recorded. */
  get recording(): Recording | undefined {
    return this.#recording;
  }

  /** Whether scratch memory of before may still be used. */
  get keep(): boolean {
    return this.#programs.size > 0 || this.#recording !== undefined;
  }

  record(body: () => void): Program {
    const recording = new Recording();
    this.#recording = recording;
    try {
      body();
    } finally {
      this.#recording = undefined;
    }
    const { commands, buffers, dispatches, failed } = recording;
    const program: Program = { dispatches };
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
        if (!this.#memory.has(buffer)) throw new OpError(`replay: a buffer of ${buffer.bytes} bytes that this program uses was freed`);
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
