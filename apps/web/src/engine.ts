import { CpuError, cpu } from "@ziggurat/cpu";
import { pebble } from "@ziggurat/pebble";
import { loadModel, type Model } from "@ziggurat/runtime";
import type { Backend } from "@ziggurat/tensor";
import { DeviceLostError, WebGpuError, webgpu } from "@ziggurat/webgpu";

export const backendNames = ["webgpu", "cpu"] as const;
export type BackendName = (typeof backendNames)[number];

/** Called with what is being done and the fraction done. */
export type OnProgress = (what: string, done: number) => void;

const open: Readonly<Record<BackendName, () => Promise<Backend>>> = { webgpu: () => webgpu(), cpu: () => cpu() };

/** What was fetched, so that another backend loads it without a second download. */
const fetched = new Map<string, Promise<Blob>>();

async function download(url: URL, onProgress: OnProgress): Promise<Blob> {
  const response = await fetch(url);
  if (!response.ok)
    throw new Error(
      `The server answered ${response.status} for ${url.pathname}. Pebble's files must lie beside this page.`,
    );
  const total = Number(response.headers.get("Content-Length"));
  // Only the weights are worth a bar.
  if (!response.body || !(total > 1e6)) return response.blob();
  let done = 0;
  const counted = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        done += chunk.byteLength;
        onProgress("Fetching the weights", Math.min(1, done / total));
        controller.enqueue(chunk);
      },
    }),
  );
  return new Response(counted).blob();
}

async function load(name: BackendName, onProgress: OnProgress): Promise<Model> {
  onProgress("Starting", 0);
  const backend = await open[name]();
  const files = pebble({
    async fetch(url) {
      const blob = fetched.get(url.href) ?? download(url, onProgress);
      fetched.set(url.href, blob);
      blob.catch(() => fetched.delete(url.href));
      return new Response(await blob);
    },
  });
  try {
    return await loadModel(files, {
      backend,
      onProgress: (done, total) => onProgress("Loading the weights", done / total),
    });
  } catch (error) {
    await backend.dispose();
    throw error;
  }
}

/**
 * Pebble on one backend at a time: loaded when first asked for, again on another backend, and again after its device
 * was lost.
 */
export class Engine {
  #name: BackendName | undefined;
  #model: Model | undefined;
  /** Settles after all earlier calls: calls run one after the other. */
  #turn: Promise<unknown> = Promise.resolve();

  /** The model on a backend. Frees the model on another backend first, so no generation of it may be running. */
  model(name: BackendName, onProgress: OnProgress): Promise<Model> {
    return this.#next(async () => {
      if (this.#model && this.#name === name) return this.#model;
      await this.#close();
      this.#name = name;
      this.#model = await load(name, onProgress);
      return this.#model;
    });
  }

  /** Gives the model and its device up. */
  close(): Promise<void> {
    return this.#next(() => this.#close());
  }

  #next<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  async #close(): Promise<void> {
    const model = this.#model;
    this.#model = undefined;
    model?.free();
    await model?.backend.dispose();
  }
}

/** Whether the model is gone with its device, and must be loaded again. */
export const isLost = (error: unknown): boolean => error instanceof DeviceLostError;

/** Says why WebGPU is not available here; undefined if it is. */
export async function webgpuMissing(): Promise<string | undefined> {
  const { gpu } = navigator as Navigator & { gpu?: GPU };
  if (!gpu) {
    return isSecureContext
      ? "This browser has no WebGPU, so Pebble runs on the CPU. Recent versions of Chrome, Edge, Safari and Firefox have it."
      : "WebGPU needs a page served by https or from localhost, so Pebble runs on the CPU.";
  }
  const adapter = await gpu.requestAdapter().catch(() => null);
  return adapter ? undefined : "WebGPU finds no graphics card here, so Pebble runs on the CPU.";
}

/** An error in words for people, and what to do. */
export function explain(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof DeviceLostError)
    return `The graphics device was lost: ${message}. The model is loaded again; then ask again.`;
  if (error instanceof WebGpuError) return `WebGPU: ${message}. Try the CPU.`;
  if (error instanceof CpuError) return `The CPU backend did not start: ${message}`;
  if (error instanceof TypeError && /fetch|network/i.test(message))
    return `Pebble's files could not be fetched: ${message}. Check the connection and ask again.`;
  return message;
}
