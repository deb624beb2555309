import { parseArgs } from "node:util";
import { machine } from "@ziggurat/bench-kit";
import { accuracy } from "./accuracy.js";
import { bytes } from "./bytes.js";
import { cost } from "./cost.js";
import { decode } from "./decode.js";
import { evidence, report } from "./evidence/evidence.js";
import { type Part, peers } from "./peers/peers.js";

const help = `ziggurat-bench COMMAND [--threads 2] [--runs 3] [--tokens 8192] [--shape pebble|smol] [--quantise]

  bytes     measured bytes of every policy's cache beside the arithmetic, at 8,192 tokens; bytes left after --runs generations
  cost      what each policy adds to prefill
  accuracy  how many of --runs documents of --tokens tokens Pebble answers rightly with its full cache;
            --quantise: with weights of 8 bits
  decode    decode speed with 12 % of the cache beside the full one
  evidence  quality of policies with intervals: --plan FILE.json --out FOLDER; without --plan, the report anew
  peers     speed and loading beside node-llama-cpp and wllama, which are installed into .bench/ at the workspace's root, on SmolLM2-135M in Q8_0
            [--model FILE.gguf] [--text FILE] [--rounds 3] [--only native|browser|load] [--resume]

Kernels alone: pnpm --filter @ziggurat/cpu bench`;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: "string", default: "2" },
    runs: { type: "string" },
    tokens: { type: "string" },
    shape: { type: "string", default: "smol" },
    quantise: { type: "boolean" },
    model: { type: "string" },
    plan: { type: "string" },
    out: { type: "string" },
    text: { type: "string" },
    rounds: { type: "string", default: "3" },
    only: { type: "string" },
    resume: { type: "boolean", default: false },
    help: { type: "boolean" },
  },
});
const threads = Number(values.threads);
const tokens = Number(values.tokens ?? 8192);
const runs = (fallback: number) => Number(values.runs ?? fallback);
const shape = values.shape === "pebble" ? "pebble" : "smol";

console.log(machine());
switch (values.help ? undefined : positionals[0]) {
  case "accuracy":
    await accuracy({
      threads,
      runs: runs(300),
      tokens: Number(values.tokens ?? 2048),
      weights: values.quantise ? "q8_0" : undefined,
    });
    break;
  case "bytes":
    await bytes({ threads, runs: runs(1000) });
    break;
  case "cost":
    await cost({ threads, runs: runs(3), tokens, shape });
    break;
  case "decode":
    await decode({ threads, runs: runs(3), tokens, shape });
    break;
  case "evidence": {
    const { plan, out } = values;
    if (out === undefined) throw new Error("evidence takes --out FOLDER, and --plan FILE.json to run one");
    await (plan === undefined ? report(out) : evidence({ plan, out, threads })).catch((error: Error) => {
      console.error(error.message);
      process.exitCode = 1;
    });
    break;
  }
  case "peers": {
    const { model, text, only, resume } = values;
    const rounds = Number(values.rounds);
    if (only !== undefined && !["native", "browser", "load"].includes(only))
      throw new Error(`--only is ${only}; it must be native, browser or load`);
    if (!Number.isSafeInteger(rounds) || rounds < 1)
      throw new Error(`--rounds is ${values.rounds}; it must be a whole number of at least 1`);
    await peers({ model, text, threads, rounds, only: only as Part | undefined, resume }).catch((error: Error) => {
      console.error(error.message);
      process.exitCode = 1;
    });
    break;
  }
  default:
    console.log(help);
}
