import { cpu } from "@ziggurat/cpu";
import { full } from "@ziggurat/policy";
import { generate, loadModel } from "@ziggurat/runtime";
import { file } from "@ziggurat/runtime/node";
import { peakBytes } from "./peak.js";
import type { LoadReport } from "./questions.js";

// A first token in a fresh process: MODEL THREADS IDS. The parent knows when the process began.

const [path = "", threads = "2", ids = "[]"] = process.argv.slice(2);
const model = await loadModel(file(path), { backend: await cpu({ threads: Number(threads) }) });
// Text, so that the tokenizer is part of it.
const prompt = model.tokenizer!.decode(JSON.parse(ids) as number[]);
const answer = generate({ model, policy: full(), prompt, maxTokens: 1, ignoreEnd: true });
for await (const _ of answer);
const firstTokenAt = performance.timeOrigin + performance.now();
const { cache, promptTokens } = await answer.result;
if (promptTokens !== 8) throw new Error(`the prompt has ${promptTokens} tokens; it should have 8`);
const report: LoadReport = {
  firstTokenAt,
  weightBytes: model.weightBytes,
  cacheBytes: cache.peakBytes,
  peakBytes: await peakBytes(),
};
process.send!(report, () => process.exit(0));
