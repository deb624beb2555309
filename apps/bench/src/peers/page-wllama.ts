import type { PageRates, PageTask } from "./questions.js";

// wllama in a page, K and V in f16. What is not set is as it chooses by itself.

interface Chunk {
  readonly choices: readonly unknown[];
  readonly timings?: { readonly prompt_n: number; readonly predicted_n: number };
}
interface Wllama {
  loadModel(blobs: readonly Blob[], options: object): Promise<void>;
  createCompletion(options: object): Promise<void>;
  getNumThreads(): number;
  isMultithread(): boolean;
}

async function measure({ texts, prefill, write, threads }: PageTask): Promise<PageRates> {
  const module: string = "/wllama/esm/index.js";
  const { Wllama } = (await import(module)) as { Wllama: new (paths: object, options: object) => Wllama };
  const wllama = new Wllama({ default: "/wllama/esm/wasm/wllama.wasm" }, { suppressNativeLog: true });
  const blob = await (await fetch("/model.gguf")).blob();
  await wllama.loadModel([new File([blob], "model.gguf")], {
    n_ctx: prefill + 256,
    n_threads: threads,
    n_gpu_layers: 0,
    n_parallel: 1,
    warmup: false,
  });
  const run = async (prompt: string, count: number) => {
    const begun = performance.now();
    let first = 0;
    let last = 0;
    let chunks = 0;
    let timings: Chunk["timings"];
    await wllama.createCompletion({
      prompt,
      max_tokens: count,
      temperature: 0,
      ignore_eos: true,
      cache_prompt: true,
      stream: true,
      onData(chunk: Chunk) {
        timings = chunk.timings ?? timings;
        if (chunk.choices.length === 0) return;
        last = performance.now();
        first ||= last;
        chunks++;
      },
    });
    return { first: (first - begun) / 1000, others: (last - first) / 1000, chunks, timings };
  };
  const read = await run(texts[0], 1);
  // Text may be cut into tokens otherwise at its end.
  const tokens = read.timings?.prompt_n ?? prefill;
  if (Math.abs(tokens - prefill) > 2) throw new Error(`wllama read ${tokens} tokens of ${prefill}`);
  // The start of the same text: its rows are still there.
  const wrote = await run(texts[1], write + 1);
  const others = (wrote.timings?.predicted_n ?? wrote.chunks) - 1;
  if (others !== write) throw new Error(`wllama wrote ${others + 1} tokens of ${write + 1}`);
  return {
    prefill: tokens / read.first,
    decode: others / wrote.others,
    device: `${wllama.isMultithread() ? wllama.getNumThreads() : 1} threads`,
  };
}

Object.assign(globalThis, { measure });
