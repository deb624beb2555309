import { readFile } from "node:fs/promises";
import { cpu } from "@ziggurat/cpu";
import { full } from "@ziggurat/policy";
import { generate, loadModel } from "@ziggurat/runtime";
import { type EachResult, generateEach } from "@ziggurat/runtime/evaluate";
import { file } from "@ziggurat/runtime/node";
import { snapkv } from "@ziggurat/snapkv";
import { answering } from "./child.js";
import type { Question, Rate } from "./questions.js";

// Ziggurat in a separate process: MODEL IDS THREADS KEEP.

const [path = "", idsPath = "", threads = "2", keep = "0"] = process.argv.slice(2);
const ids = JSON.parse(await readFile(idsPath, "utf8")) as number[];
const backend = await cpu({ threads: Number(threads) });
const model = await loadModel(file(path), { backend });
let results: AsyncGenerator<EachResult> | undefined;
let first: IteratorResult<EachResult> | undefined;

answering<Question>(async (question): Promise<Rate | object> => {
  switch (question.do) {
    case "read": {
      const begun = performance.now();
      for await (const _ of generate({
        model,
        policy: full(),
        prompt: ids.slice(0, question.tokens),
        maxTokens: 1,
        ignoreEnd: true,
      }));
      return { rate: question.tokens / ((performance.now() - begun) / 1000), device: backend.info.device };
    }
    case "fill": {
      const { tokens, rounds, write } = question;
      // Full and compressed in turn, from one prefill; one more at the start, so that no measured one meets kernels for
      // the first time.
      const pair = [full(), snapkv({ keep: Number(keep), window: 32 })];
      const policies = [pair[1]!, ...Array.from({ length: rounds }, () => pair).flat()];
      results = generateEach({ model, policies, prompt: ids.slice(0, tokens), maxTokens: write + 1, ignoreEnd: true });
      first = await results.next();
      return { rate: tokens / (first.value as EachResult).timings.prefillSeconds };
    }
    case "decode": {
      const next = await results!.next();
      if (next.done) throw new Error("decode was asked for more often than announced");
      const { cache, generatedTokens, timings } = next.value;
      const rows = cache.rows.flat();
      return {
        rate: (generatedTokens - 1) / timings.decodeSeconds,
        rows: rows.reduce((a, b) => a + b, 0) / rows.length,
      };
    }
  }
});
