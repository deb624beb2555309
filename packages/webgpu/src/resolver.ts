import { checkOperands, OpError, type Operands, type OpName, OutOfMemoryError, type Slice } from "@ziggurat/tensor";
import { type Binding, bindingsOf, type Place } from "./binding.js";
import { type Runnable, WebGpuKernel } from "./kernel.js";
import patch from "./kernels/patch.wgsl";
import type { Memory } from "./memory.js";
import type { Pace } from "./pace.js";
import { type Pipelines, uniformBytes } from "./pipelines.js";
import type { Stage, Traits } from "./stage.js";
import type { Command } from "./stream.js";

export type Given = Readonly<Record<string, Slice | undefined>>;

/** Turns kernels and their operands into commands. */
export class Resolver {
  readonly #mostBindings: number;
  readonly #bindingBytes: number;
  readonly #pipelines: Pipelines;
  readonly #memory: Memory;
  readonly #pace: Pace;

  constructor({ limits }: GPUDevice, { bindingBytes }: Traits, pipelines: Pipelines, memory: Memory, pace: Pace) {
    this.#mostBindings = limits.maxStorageBuffersPerShaderStage;
    this.#bindingBytes = bindingBytes;
    this.#pipelines = pipelines;
    this.#memory = memory;
    this.#pace = pace;
  }

  /** Throws an `OpError` if a kernel is of another backend or an operand is invalid. */
  check(kernel: unknown, operands: Given): WebGpuKernel {
    if (!(kernel instanceof WebGpuKernel)) throw new OpError("dispatch: this kernel was not prepared by this backend");
    const known = kernel as WebGpuKernel;
    for (const name in operands)
      if (!known.needs.has(name)) checkOperands(known, operands as unknown as Operands<OpName>);
    for (const [name, bytes] of known.needs) this.#memory.buffers.operand(known, operands, name, bytes);
    return known;
  }

  /**
   * The dispatches of a kernel whose operands were checked, or the error if one could not be allocated. `kept`: whether
   * a program may use scratch memory.
   */
  resolve(kernel: Runnable, operands: Given, kept: boolean): readonly Command[] | OutOfMemoryError {
    const places: Record<string, Place> = {};
    for (const name of kernel.needs.keys()) {
      const { buffer, offset } = operands[name]!;
      const { place } = this.#memory.buffers.get(buffer)!;
      if (place instanceof OutOfMemoryError) return place;
      places[name] = { buffer: place, offset };
    }
    const scratch = this.scratch(kernel.stages(), kept);
    if (scratch) places[""] = { buffer: scratch, offset: 0 };
    return this.#commands(kernel, operands, places);
  }

  /** Scratch memory for the results that a kernel's stages leave one another. */
  scratch(stages: readonly Stage[], kept: boolean): GPUBuffer | undefined {
    const bounds = stages.flatMap(({ bound }) => Object.values(bound));
    const ends = bounds.map(({ operand, offset, bytes }) => (operand === "" ? offset + bytes : 0));
    return this.#memory.scratch(Math.max(0, ...ends), kept);
  }

  /** Writes fewer than four bytes. */
  patch(buffer: GPUBuffer, offset: number, bytes: Uint8Array): Command {
    const value = bytes.reduce((word, byte, i) => word | (byte << (8 * i)), 0);
    const stage: Stage = {
      text: patch,
      settings: {},
      bound: { out: { type: "u32", written: true, operand: "out", offset: 0, bytes: 4 } },
      uniforms: { mask: 2 ** (8 * bytes.length) - 1, value },
      grid: [1, 1, 1],
      work: 1,
    };
    const bindings = bindingsOf("write", stage, { out: { buffer, offset } }, this.#bindingBytes);
    return this.#command("write", stage, bindings);
  }

  #commands(kernel: Runnable, operands: Given, places: Readonly<Record<string, Place>>): Command[] {
    const offsets = Object.fromEntries(Object.entries(operands).map(([name, slice]) => [name, slice?.offset ?? 0]));
    let stages = kernel.stages(offsets);
    const bindAll = () => stages.map((stage) => bindingsOf(kernel.op, stage, places, this.#bindingBytes));
    let bindings = bindAll();
    if (stages !== kernel.narrow && bindings.some((all) => all.some(({ copied }) => copied))) {
      stages = kernel.narrow;
      bindings = bindAll();
    }
    return stages.flatMap((stage, index) =>
      this.#cut(stage).map((part) => this.#command(kernel.op, part, bindings[index]!)),
    );
  }

  /** Splits a dispatch that would take too long. */
  #cut(stage: Stage): readonly Stage[] {
    const { cut, grid, work } = stage;
    const times = cut === undefined ? 1 : Math.min(Math.ceil(work / this.#pace.limit), grid[1]);
    if (cut === undefined || times === 1) return [stage];
    const height = Math.ceil(grid[1] / times);
    return Array.from({ length: Math.ceil(grid[1] / height) }, (_, index) => {
      const rows = Math.min(height, grid[1] - index * height);
      const uniforms = { ...stage.uniforms, [cut]: stage.uniforms[cut]! + index * height };
      return { ...stage, uniforms, grid: [grid[0], rows, grid[2]], work: (work * rows) / grid[1] };
    });
  }

  #command(op: string, stage: Stage, bindings: readonly Binding[]): Command {
    const uniforms = new Uint32Array(uniformBytes / 4);
    const floats = new Float32Array(uniforms.buffer);
    let word = 0;
    for (const { at } of bindings) for (const start of at) uniforms[word++] = start;
    for (const value of Object.values(stage.uniforms)) uniforms[word++] = value;
    for (const value of Object.values(stage.floats ?? {})) floats[word++] = value;
    const most = this.#mostBindings;
    const places = bindings.reduce((sum, { stretches }) => sum + stretches.length, 0);
    if (places > most) {
      const long = bindings
        .filter(({ stretches }) => stretches.length > 1)
        .map(({ names, stretches }) => `${names.join(", ")} in ${stretches.length}`);
      const why = long.length > 0 ? ` (of ${this.#bindingBytes} bytes at most: ${long.join("; ")})` : "";
      throw new OpError(
        `${op}: its operands lie in ${places} places${why}, and this device binds ${most}; put tables in one buffer, use smaller arenas`,
      );
    }
    const groups = bindings.map(({ type, names, written, window, stretches }) => {
      return { type, names, written, ...(window === undefined ? {} : { windows: stretches.length, window }) };
    });
    return { ...this.#pipelines.get(stage, groups), op, bindings, uniforms, grid: stage.grid, work: stage.work };
  }
}
