import { stat } from "node:fs/promises";
import { CpuError, cpu } from "@ziggurat/cpu";
import { pebble } from "@ziggurat/pebble";
import { loadModel, type Model, type ModelFiles } from "@ziggurat/runtime";
import { file, folder } from "@ziggurat/runtime/node";
import type { Backend, RowDType, WeightDType } from "@ziggurat/tensor";
import { quote, UsageError } from "./error.js";
import type { Progress } from "./progress.js";

export const backendNames = ["cpu", "webgpu", "cuda"] as const;

export interface LoadFlags {
  /** A folder or a .gguf file; Pebble where left out. */
  readonly model?: string;
  readonly backend: (typeof backendNames)[number];
  readonly threads?: number;
  readonly rows: RowDType;
  readonly weights?: WeightDType;
}

/** The files of a model: the bundled one, a folder's, or one GGUF file. */
export async function modelFiles(path: string | undefined): Promise<ModelFiles> {
  if (path === undefined) return pebble();
  const right = "name a folder with config.json, tokenizer.json and *.safetensors, or a .gguf file";
  const info = await stat(path).catch(() => undefined);
  if (!info) throw new UsageError(`--model: there is no ${quote(path)}; ${right}`);
  if (info.isDirectory()) return folder(path);
  if (!path.endsWith(".gguf")) throw new UsageError(`--model: ${quote(path)} is neither; ${right}`);
  return file(path);
}

/** What the GPU packages offer, as far as it is used here. */
interface GpuPackage {
  readonly cuda: () => Promise<Backend>;
  readonly webgpu: (options: { readonly gpu: unknown }) => Promise<Backend>;
  readonly dawn: () => Promise<unknown>;
}

/** A GPU backend, where its package is installed: they are large, and most calls of the command do without. */
async function gpu(name: "webgpu" | "cuda"): Promise<Backend> {
  const load = async (specifier: string): Promise<GpuPackage> => {
    try {
      return await import(specifier);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
      throw new UsageError(
        `--backend ${name}: the package @ziggurat/${name} is not installed; install it beside @ziggurat/cli, or take --backend cpu`,
      );
    }
  };
  if (name === "cuda") return (await load("@ziggurat/cuda")).cuda();
  const { webgpu } = await load("@ziggurat/webgpu");
  const { dawn } = await load("@ziggurat/webgpu/node");
  const backend = await webgpu({ gpu: await dawn() });
  if (backend.info.features.software) process.stderr.write(`no GPU was found: WebGPU computes in software, slowly (${backend.info.device})\n`);
  return backend;
}

async function openBackend({ backend, threads }: LoadFlags): Promise<Backend> {
  if (backend !== "cpu") {
    if (threads !== undefined) throw new UsageError(`--threads is for the cpu backend; leave it out with --backend ${backend}`);
    return gpu(backend);
  }
  try {
    return await cpu(threads === undefined ? {} : { threads });
  } catch (error) {
    throw error instanceof CpuError ? new UsageError(error.message) : error;
  }
}

/** Loads the model, does the work and gives everything back, whatever happens. */
export async function withModel<T>(flags: LoadFlags, bar: Progress, work: (model: Model) => Promise<T>): Promise<T> {
  const files = await modelFiles(flags.model);
  const backend = await openBackend(flags);
  try {
    const { weights, rows } = flags;
    const model = await loadModel(files, {
      backend,
      rows,
      ...(weights === undefined ? {} : { weights }),
      onProgress: (done, total) => bar.update(done / total, "loading the model"),
    });
    try {
      return await work(model);
    } finally {
      model.free();
    }
  } finally {
    bar.end();
    await backend.dispose();
  }
}
