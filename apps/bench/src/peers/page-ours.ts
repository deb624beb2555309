import { cpu } from "@ziggurat/cpu";
import { full } from "@ziggurat/policy";
import { blobs, generate, loadModel } from "@ziggurat/runtime";
import type { PageRates, PageTask } from "./questions.js";

// Ziggurat in a page.

async function measure({ ids, prefill, decodeAt, write, threads }: PageTask): Promise<PageRates> {
  const backend = await cpu({ threads });
  const blob = await (await fetch("/model.gguf")).blob();
  const model = await loadModel(blobs({ "model.gguf": blob }), { backend });
  const run = async (tokens: number, maxTokens: number) => {
    const begun = performance.now();
    let first = 0;
    for await (const _ of generate({ model, policy: full(), prompt: ids.slice(0, tokens), maxTokens, ignoreEnd: true }))
      first ||= performance.now();
    return { first: (first - begun) / 1000, others: (performance.now() - first) / 1000 };
  };
  const { first } = await run(prefill, 1);
  const { others } = await run(decodeAt, write + 1);
  return { prefill: prefill / first, decode: write / others, device: backend.info.device };
}

Object.assign(globalThis, { measure });
