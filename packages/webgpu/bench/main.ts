import { parseArgs } from "node:util";
import type { WeightDType } from "@ziggurat/tensor";
import { type OptionalFeature, webgpu } from "../src/index.js";
import { GpuProfile } from "../src/profile.js";
import { bandwidth } from "./bandwidth.js";
import { conformance } from "./conformance.js";
import { cost } from "./cost.js";
import { decode, load } from "./decode.js";
import { attention, matrix } from "./matrix.js";
import { peerOf } from "./peer.js";
import { attentionOfTile, productsAlone } from "./prefill.js";
import { profileModel } from "./profile.js";

const help = `node bench.mjs COMMAND... [--webgpu FOLDER] [--dawn FLAG]... [--op NAME]... [--case PART]...
  [--shape pebble|smol|1b|8b] [--weights bf16] [--layers N] [--tokens 8192[,N]] [--rounds 3]

  conformance  every op against the float64 reference, with each optional feature masked in turn
  matrix       matrix products alone
  attention    attention alone
  prefill      the products, attention and watch sums of a prefill alone
  profile      microseconds and dispatches of every op, in a prefill and in a decode step
  decode       prefill and decode of a model of random weights, with the full cache and 12 % of it
  cost         prefills of random weights under each policy, and the bytes of their caches

  --case       conformance with the cases whose names contain this, and not all
  --layers     how many of a shape's layers to run
  --unmasked   conformance with all features only
  --peer       a file of JSON lines { file, depth, prefill, decode } of another program, to compare with;
               names of its model files contain SHAPE-WEIGHTS
  --webgpu     the folder of the npm package webgpu, default the installed one
  --dawn       a flag for create(), such as enable-dawn-features=skip_validation`;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    webgpu: { type: "string" },
    peer: { type: "string" },
    op: { type: "string", multiple: true, default: [] },
    case: { type: "string", multiple: true, default: [] },
    layers: { type: "string" },
    dawn: { type: "string", multiple: true, default: [] },
    unmasked: { type: "boolean", default: false },
    shape: { type: "string", default: "1b" },
    weights: { type: "string", default: "bf16" },
    tokens: { type: "string", default: "8192" },
    rounds: { type: "string", default: "3" },
  },
});

const { create } = (await import(
  values.webgpu ? new URL(`file://${values.webgpu}/index.js`).href : "webgpu"
)) as typeof import("webgpu");
const gpu = create(values.dawn);
const tokens = Number(values.tokens.split(",")[0]);
const layers = values.layers === undefined ? undefined : Number(values.layers);
let failed = 0;
if (positionals.length === 0) console.log(help);
for (const command of positionals) {
  const open = (without: readonly OptionalFeature[] = []) => webgpu({ gpu, without });
  if (command === "conformance") {
    const masks: readonly OptionalFeature[] = [
      "shaderF16",
      "subgroupMatrix",
      "packedDots",
      "subgroups",
      "largeBindings",
    ];
    for (const without of values.unmasked ? [[]] : [[], ...masks.map((mask) => [mask])]) {
      const backend = await open(without);
      failed += await conformance(
        without.length > 0 ? `without ${without.join(", ")}` : "all features",
        backend,
        values.op,
        values.case,
      );
      await backend.dispose();
    }
    continue;
  }
  if (command === "profile") {
    const profile = new GpuProfile();
    const backend = await webgpu({ gpu, profile });
    const { model, prompt } = await load(backend, values.shape, values.weights as WeightDType, tokens, layers);
    await profileModel(model, profile, prompt);
    await backend.dispose();
    continue;
  }
  const backend = await open();
  console.log(`${command} on ${backend.info.device}, ${JSON.stringify(backend.info.features)}`);
  if (command === "matrix") await matrix(backend);
  else if (command === "attention") await attention(backend);
  else if (command === "prefill") {
    if (values.op.length === 0 || values.op.includes("linear")) await productsAlone(backend);
    if (values.op.length === 0 || values.op.includes("attention")) await attentionOfTile(backend);
  } else if (command === "cost") {
    await cost(backend, values.shape, values.weights as WeightDType, tokens, Number(values.rounds), layers);
  } else if (command === "decode") {
    const lengths = values.tokens.split(",").map(Number);
    await decode(backend, values.shape, values.weights as WeightDType, lengths, {
      bandwidth: await bandwidth(gpu),
      peer: (tokens) => peerOf(values.peer, values.shape, values.weights, tokens),
      rounds: Number(values.rounds),
      layers,
    });
  } else throw new RangeError(`there is no command ${command}\n${help}`);
  await backend.dispose();
}
// Dawn keeps the process alive while it holds an instance.
process.exit(failed === 0 ? 0 : 1);
