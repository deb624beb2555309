import { type Group, shaderOf } from "./shader.js";
import type { Stage } from "./stage.js";

/** A compiled dispatch. */
export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Bytes of the uniforms of one dispatch: the largest alignment that WebGPU may require of their offset. */
export const uniformBytes = 256;

/**
 * The compiled kernels of one device, by text and settings of a stage and by the operands that share bindings. Sizes
 * are uniforms, so new ones compile nothing.
 */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #layouts = new Map<string, readonly [GPUBindGroupLayout, GPUPipelineLayout]>();
  readonly #ready = new Map<string, Map<string, Pipeline>>();
  readonly #coming = new Map<string, Promise<void>>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Compiles a stage before its first use. Rejects with the compiler's message. */
  async prepare(stage: Stage, groups: readonly Group[]): Promise<void> {
    const key = keyOf(stage, groups);
    const ready = this.#of(stage);
    if (ready.has(key)) return;
    const name = stage.text + key;
    let coming = this.#coming.get(name);
    if (!coming) {
      const { layout, descriptor } = this.#describe(stage, groups);
      coming = this.#device
        .createComputePipelineAsync(descriptor)
        .then((pipeline) => void ready.set(key, { pipeline, layout }))
        .finally(() => this.#coming.delete(name));
      this.#coming.set(name, coming);
    }
    await coming;
  }

  get(stage: Stage, groups: readonly Group[]): Pipeline {
    const key = keyOf(stage, groups);
    const ready = this.#of(stage);
    let found = ready.get(key);
    if (!found) {
      const { layout, descriptor } = this.#describe(stage, groups);
      found = { pipeline: this.#device.createComputePipeline(descriptor), layout };
      ready.set(key, found);
    }
    return found;
  }

  #of({ text }: Stage): Map<string, Pipeline> {
    const found = this.#ready.get(text) ?? new Map<string, Pipeline>();
    this.#ready.set(text, found);
    return found;
  }

  #describe(stage: Stage, groups: readonly Group[]) {
    const [layout, pipelineLayout] = this.#layout(groups);
    const code = textOf(stage, groups);
    const module = this.#device.createShaderModule({ code });
    const descriptor: GPUComputePipelineDescriptor = {
      layout: pipelineLayout,
      compute: { module, entryPoint: "main" },
    };
    return { layout, descriptor };
  }

  #layout(groups: readonly Group[]): readonly [GPUBindGroupLayout, GPUPipelineLayout] {
    const key = groups.map(({ written, windows = 1 }) => (written ? "w" : "r").repeat(windows)).join("");
    const found = this.#layouts.get(key);
    if (found) return found;
    // 4 is GPUShaderStage.COMPUTE.
    const storage = [...key].map((letter, index): GPUBindGroupLayoutEntry => {
      return { binding: index + 1, visibility: 4, buffer: { type: letter === "w" ? "storage" : "read-only-storage" } };
    });
    const uniforms: GPUBindGroupLayoutEntry = { binding: 0, visibility: 4, buffer: { minBindingSize: uniformBytes } };
    const layout = this.#device.createBindGroupLayout({ entries: [uniforms, ...storage] });
    const made = [layout, this.#device.createPipelineLayout({ bindGroupLayouts: [layout] })] as const;
    this.#layouts.set(key, made);
    return made;
  }
}

const keyOf = ({ settings, uniforms, floats }: Stage, groups: readonly Group[]) =>
  JSON.stringify([settings, Object.keys(uniforms), Object.keys(floats ?? {}), groups]);

/** The WGSL of a stage. */
export const textOf = ({ text, settings, uniforms, floats = {} }: Stage, groups: readonly Group[]): string =>
  shaderOf({ text, settings, groups, uniforms: Object.keys(uniforms), floats: Object.keys(floats) });
