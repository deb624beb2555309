import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { answering } from "./child.js";
import type { Question, Rate } from "./questions.js";

// node-llama-cpp in a separate process: ENTRY MODEL IDS THREADS CONTEXT. K and V in f16 and the rest as it chooses by
// itself.

interface Sequence {
  readonly nextTokenIndex: number;
  evaluate(tokens: readonly number[], options: object): AsyncGenerator<number>;
  eraseContextTokenRanges(ranges: readonly { start: number; end: number }[]): Promise<void>;
  clearHistory(): Promise<void>;
}
interface Llama {
  loadModel(
    options: object,
  ): Promise<{ createContext(options: object): Promise<{ currentThreads: number; getSequence(): Sequence }> }>;
}

const [entry = "", path = "", idsPath = "", threads = "2", contextSize = "2304"] = process.argv.slice(2);
const { getLlama } = (await import(pathToFileURL(entry).href)) as { getLlama(options: object): Promise<Llama> };
const ids = JSON.parse(await readFile(idsPath, "utf8")) as number[];
const llama = await getLlama({
  build: "never",
  gpu: false,
  maxThreads: Number(threads),
  logLevel: "error",
  progressLogs: false,
});
const model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
const context = await model.createContext({
  contextSize: Number(contextSize),
  sequences: 1,
  threads: { ideal: Number(threads), min: Number(threads) },
});
const sequence = context.getSequence();
let filled = 0;
let write = 0;

/**
 * Feeds tokens and writes `count` more; resolves to the seconds until the first came and those that the others took.
 */
async function feed(tokens: readonly number[], count: number): Promise<{ first: number; others: number }> {
  const begun = performance.now();
  let at = begun;
  let written = 0;
  for await (const _ of sequence.evaluate(tokens, { temperature: 0, yieldEogToken: true })) {
    if (written++ === 0) at = performance.now();
    if (written > count) break;
  }
  return { first: (at - begun) / 1000, others: (performance.now() - at) / 1000 };
}

answering<Question>(async (question): Promise<Rate> => {
  switch (question.do) {
    case "read": {
      await sequence.clearHistory();
      const { first } = await feed(ids.slice(0, question.tokens), 0);
      return { rate: question.tokens / first, device: `${context.currentThreads} threads` };
    }
    case "fill": {
      filled = question.tokens;
      write = question.write;
      const { first } = await feed(ids.slice(0, filled), 0);
      return { rate: filled / first };
    }
    case "decode": {
      // Back to the prompt without its last token, which is fed again.
      await sequence.eraseContextTokenRanges([{ start: filled - 1, end: sequence.nextTokenIndex }]);
      const { others } = await feed(ids.slice(filled - 1, filled), write);
      return { rate: write / others, rows: filled };
    }
  }
});
