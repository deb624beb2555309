import { cacheBytes, peakBytes, planesOf, rowBytes, scratchBytes } from "@ziggurat/cache";
import { makePolicy } from "@ziggurat/policies";
import { openModel } from "@ziggurat/runtime";
import { rowDTypes } from "@ziggurat/tensor";
import { type Command, Option } from "commander";
import { UsageError } from "../error.js";
import { barScale, bars, bytes, json, table } from "../format.js";
import { filesOf, type LoadFlags } from "../load.js";
import { addOutput, addPolicies, modelHelp, whole } from "../options.js";
import { planOf } from "../plan.js";
import { type PolicyFlags, policiesOf } from "../policies.js";
import { progress } from "../progress.js";

interface InspectFlags extends Pick<LoadFlags, "model" | "rows" | "weights">, PolicyFlags {
  readonly tokens?: number;
  readonly maxTokens: number;
  readonly json?: boolean;
}

const usual = { policy: "full,streaming,h2o,snapkv,pyramidkv", keep: "12%" };

const help = `
No weights are loaded and nothing runs: the numbers are arithmetic on the model's configuration,
exact to the byte, metadata included. Of a remote model only the configuration and the headers of
its weights are fetched.

Examples:
  ziggurat inspect
      Pebble at its whole context
  ziggurat inspect --model HuggingFaceTB/SmolLM2-135M-Instruct --tokens 8192 --keep 12%,512
      a model of the hub, without downloading it
  ziggurat inspect --model ./model.gguf --rows f16`;

/** Adds `ziggurat inspect`: the bytes of a cache. */
export function addInspect(program: Command): void {
  const command = program
    .command("inspect")
    .summary("bytes of K/V per layer, before anything is loaded")
    .description("Prints what K and V take per layer and token, and what each policy holds after a prompt.")
    .option("--model <model>", modelHelp)
    .addOption(new Option("--rows <dtype>", "what K and V are stored in").choices([...rowDTypes]).default("bf16"))
    .addOption(
      new Option("--weights <dtype>", "what the weights would be stored in (default: as in the files)").choices([
        "f32",
        "bf16",
        "q8_0",
      ]),
    )
    .option("--max-tokens <n>", "tokens to be written after the prompt", whole(1), 256);
  addPolicies(command, {
    policy: `policies to compare, between commas (default: ${usual.policy})`,
    keep: `rows per layer, or a share of the prompt; several between commas (default: ${usual.keep})`,
    tokens: "tokens of the prompt (default: all that the model reads)",
  });
  addOutput(command).addHelpText("after", help).action(run);
}

async function run(flags: InspectFlags): Promise<void> {
  const { rows: dtype, maxTokens } = flags;
  const specs = policiesOf(flags, usual);
  const bar = progress("looking");
  const opened = await openModel(await filesOf(flags.model, bar, true));
  const source = await opened.weights();
  bar.end();
  const { name: model } = opened;
  const { architecture, contextLength, vocabularySize, hiddenSize, cache: shape } = opened.facts;
  const tokens = flags.tokens ?? contextLength;
  if (tokens > contextLength) throw new UsageError(`--tokens is ${tokens}; ${model} reads ${contextLength}`);
  const weightBytes = opened.weightBytes(source, flags.weights);
  const types = Object.fromEntries([...source.types].sort(([, a], [, b]) => b - a));

  const layers = shape.layers.map((one, layer) => {
    const { kvHeads, headSize } = shape;
    const bytesPerToken = kvHeads * rowBytes(headSize, dtype, 1);
    return {
      layer,
      kind: one.kind,
      ...(one.kind === "sliding" ? { window: one.window } : {}),
      queryHeads: shape.queryHeads,
      kvHeads,
      headSize,
      bytesPerToken,
    };
  });
  const held = specs.map((spec) => {
    const { name, keep, budget, policy } = makePolicy(spec, tokens);
    const plan = planOf(shape, policy, [tokens], maxTokens);
    const sizes = cacheBytes(shape, dtype, [{ policy, plan }]);
    const { planes } = planesOf([policy]);
    const scratch = scratchBytes(shape, dtype, plan.scratchRows, [{ planes, slot: policy.positions === "slot" }]);
    const rowsPerLayer = plan.held.map((heads) => heads.reduce((a, b) => a + b, 0) / heads.length);
    const kvBytesPerLayer = plan.held.map(
      (heads) => heads.reduce((a, b) => a + b, 0) * rowBytes(shape.headSize, dtype, planes),
    );
    const kvBytes = sizes.cache + sizes.tables;
    const kvPeakBytes = peakBytes(shape, dtype, [{ policy, plan }]);
    const facts = { policy: name, keep: keep ?? null, budget, active: plan.evicted > 0, rowsPerLayer };
    return { ...facts, kvBytesPerLayer, kvBytes, roomBytes: sizes.room, scratchBytes: scratch, kvPeakBytes };
  });
  const sizes = { hiddenSize, vocabularySize, contextLength };
  const facts = { model, architecture, ...sizes, tokens, maxTokens, rows: dtype, weightBytes, weightTypes: types };
  if (flags.json) return void process.stdout.write(json({ ...facts, layers, policies: held }));

  const perToken = layers.reduce((sum, { bytesPerToken }) => sum + bytesPerToken, 0);
  const lines = [
    `${model}: ${architecture}, ${layers.length} layers, hidden size ${hiddenSize}, ${vocabularySize} tokens known; reads ${contextLength} tokens`,
    `weights: ${Object.entries(types)
      .map(([type, size]) => `${type} ${bytes(size)}`)
      .join(", ")} in the files; ${bytes(weightBytes)} when loaded${flags.weights ? ` as ${flags.weights}` : ""}`,
    `K/V in ${dtype}: ${perToken} bytes a token, over all layers, with its position`,
    "",
    ...table(
      [
        { title: "layers" },
        { title: "kind" },
        { title: "query heads", right: true },
        { title: "KV heads", right: true },
        { title: "head size", right: true },
        { title: "bytes a token", right: true },
      ],
      alike(layers).map(([first, last]) => [
        first.layer === last.layer ? `${first.layer}` : `${first.layer} to ${last.layer}`,
        first.window === undefined ? first.kind : `${first.kind}, ${first.window} rows`,
        `${first.queryHeads}`,
        `${first.kvHeads}`,
        `${first.headSize}`,
        `${first.bytesPerToken}`,
      ]),
    ),
    "",
    `After a prompt of ${tokens} tokens, with room for ${maxTokens} more:`,
    "",
    ...table(
      [
        { title: "policy" },
        { title: "keep", right: true },
        { title: "rows per layer" },
        { title: "least", right: true },
        { title: "most", right: true },
        { title: "K/V", right: true },
        { title: "room", right: true },
        { title: "scratch", right: true },
        { title: "peak", right: true },
      ],
      held.map(({ policy, keep, budget, rowsPerLayer, kvBytes, roomBytes, scratchBytes: scratch, kvPeakBytes }) => [
        policy,
        budget,
        bars(rowsPerLayer, barScale({ keep, rowsPerLayer })),
        `${Math.min(...rowsPerLayer)}`,
        `${Math.max(...rowsPerLayer)}`,
        bytes(kvBytes),
        bytes(roomBytes),
        bytes(scratch),
        bytes(kvPeakBytes),
      ]),
    ),
    "",
    "rows per layer: first layer at the left; half height is the budget.",
    "scratch: one layer's whole K and V while the prompt is read. peak: the most that K/V, room and scratch",
    "take at a time; hidden states and workspace come on top.",
    ...held
      .filter(({ keep, active }) => keep !== null && !active)
      .map(({ policy, budget }) => `inactive: ${policy} ${budget} holds the whole prompt.`),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** Runs of layers that differ in nothing but their number: the first and the last of each. */
function alike<T extends { readonly layer: number }>(layers: readonly T[]): [T, T][] {
  const key = (layer: T) => JSON.stringify({ ...layer, layer: 0 });
  const groups: [T, T][] = [];
  for (const layer of layers) {
    const last = groups.at(-1);
    if (last && key(last[1]) === key(layer)) last[1] = layer;
    else groups.push([layer, layer]);
  }
  return groups;
}
