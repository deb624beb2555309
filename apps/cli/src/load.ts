import { CpuError, cpu } from "@ziggurat/cpu";
import { pebble } from "@ziggurat/pebble";
import { DownloadError, FormatError, loadModel, type Model, type ModelFiles, modelFiles } from "@ziggurat/runtime";
import type { Backend, RowDType, WeightDType } from "@ziggurat/tensor";
import { UsageError } from "./error.js";
import type { Progress } from "./progress.js";
import { signal } from "./signal.js";

export const backendNames = ["cpu", "webgpu", "cuda"] as const;

export interface LoadFlags {
  /** A folder, a .gguf file, a repository of the hub or a URL. Default: Pebble. */
  readonly model?: string;
  readonly backend: (typeof backendNames)[number];
  readonly threads?: number;
  readonly rows: RowDType;
  readonly weights?: WeightDType;
}

/**
 * The files of a model: the bundled one, or what --model names. `inPlace`: reads headers of remote weights without
 * downloading them.
 */
export async function filesOf(model: string | undefined, bar: Progress, inPlace = false): Promise<ModelFiles> {
  if (model === undefined) return pebble();
  try {
    return await modelFiles(model, {
      signal,
      inPlace,
      onProgress: (file, done, total) => bar.update(done / total, `downloading ${file}`),
    });
  } catch (error) {
    throw error instanceof FormatError || error instanceof DownloadError
      ? new UsageError(`--model: ${error.message}`)
      : error;
  }
}

/** The exports of the GPU packages that are used here. */
interface GpuPackage {
  readonly cuda: () => Promise<Backend>;
  readonly webgpu: (options: { readonly gpu: unknown }) => Promise<Backend>;
  readonly dawn: () => Promise<unknown>;
}

/** Opens a GPU backend. Its package is optional because it is large; throws a `UsageError` if it is missing. */
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
  if (backend.info.features.software)
    process.stderr.write(`no GPU was found: WebGPU computes in software, slowly (${backend.info.device})\n`);
  return backend;
}

async function openBackend({ backend, threads }: LoadFlags): Promise<Backend> {
  if (backend !== "cpu") {
    if (threads !== undefined)
      throw new UsageError(`--threads is for the cpu backend; leave it out with --backend ${backend}`);
    return gpu(backend);
  }
  try {
    return await cpu(threads === undefined ? {} : { threads });
  } catch (error) {
    throw error instanceof CpuError ? new UsageError(error.message) : error;
  }
}

/** Loads the model, does the work, and frees everything afterwards, also after an error. */
export async function withModel<T>(flags: LoadFlags, bar: Progress, work: (model: Model) => Promise<T>): Promise<T> {
  const files = await filesOf(flags.model, bar);
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
