import { Account, cacheBytes, peakBytes, planesOf, planTurn, rowBytes, scratchBytes } from "@ziggurat/cache";
import { openModel } from "@ziggurat/runtime";
import { rowDTypes } from "@ziggurat/tensor";
import { type Command, Option } from "commander";
import { UsageError } from "../error.js";
import { barScale, bars, bytes, json, table } from "../format.js";
import { filesOf, type LoadFlags } from "../load.js";
import { addOutput, addPolicyOptions, modelHelp, policyOptions, whole } from "../options.js";
import { makePolicy, parseKeeps, parsePolicies, withKeeps, withShared } from "../policies.js";
import { progress } from "../progress.js";

interface InspectFlags extends Pick<LoadFlags, "model" | "rows" | "weights"> {
  readonly context?: number;
  readonly maxTokens: number;
  readonly policies: string;
  readonly keep: string;
  readonly json?: boolean;
}

const help = `
Nothing is loaded and nothing runs: the numbers are arithmetic on the model's configuration,
metadata included, exact to the byte. Of a remote model only the configuration and the headers of
its weights are fetched.

Examples:
  ziggurat inspect
      Pebble at its whole context
  ziggurat inspect --model HuggingFaceTB/SmolLM2-135M-Instruct --context 8192 --keep 12%,512
      a model of the hub, without downloading it
  ziggurat inspect --model ./model.gguf --rows f16`;

/** `ziggurat inspect`: what a cache would take. */
export const addInspect = (program: Command): Command =>
  addOutput(
    addPolicyOptions(
      program
        .command("inspect")
        .summary("bytes of K/V per layer, before anything is loaded")
        .description(
          "Prints what K and V take per layer and token, and what each policy would hold after a prompt that fills a context.",
        )
        .option("--model <model>", modelHelp)
        .addOption(new Option("--rows <dtype>", "what K and V are stored in").choices([...rowDTypes]).default("bf16"))
        .addOption(
          new Option("--weights <dtype>", "what the weights would be stored in (default: as in the files)").choices([
            "f32",
            "bf16",
            "q8_0",
          ]),
        )
        .option("--context <n>", "tokens of the prompt (default: all that the model reads)", whole(1))
        .option("--max-tokens <n>", "tokens to be written after it", whole(1), 256)
        .option("--policies <list>", "what to compare", "full,streaming,h2o,snapkv,pyramidkv")
        .option("--keep <list>", "rows per layer, or a share of the context", "12%"),
    ),
  )
    .addHelpText("after", help)
    .action(run);

async function run(flags: InspectFlags): Promise<void> {
  const { rows: dtype, maxTokens } = flags;
  const specs = withKeeps(
    withShared(parsePolicies(flags.policies), policyOptions({ ...flags })),
    parseKeeps("--keep", flags.keep),
  );
  const bar = progress("looking");
  const opened = await openModel(await filesOf(flags.model, bar, true));
  const source = await opened.weights();
  bar.end();
  const { name: model } = opened;
  const { architecture, contextLength, vocabularySize, hiddenSize, cache: shape } = opened.facts;
  const context = flags.context ?? contextLength;
  if (context > contextLength) throw new UsageError(`--context is ${context}; ${model} reads ${contextLength}`);
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
  const policies = specs.map((spec) => {
    const { name, keep, budget, policy } = makePolicy(spec, context);
    // The last token written is never fed.
    const plan = planTurn(Account.empty(shape, policy), [context], maxTokens - 1);
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
  const facts = { model, architecture, ...sizes, context, maxTokens, rows: dtype, weightBytes, weightTypes: types };
  if (flags.json) return void process.stdout.write(json({ ...facts, layers, policies }));

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
    `After a prompt of ${context} tokens, with room for ${maxTokens} more:`,
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
      policies.map(({ policy, keep, budget, rowsPerLayer, kvBytes, roomBytes, scratchBytes: scratch, kvPeakBytes }) => [
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
    "rows per layer: first layer left; half height is the budget.",
    "scratch: one layer's whole K and V while the prompt is read. peak: the most that K/V, room and scratch",
    "take at a time; hidden states and workspace come on top.",
    ...policies
      .filter(({ keep, active }) => keep !== null && !active)
      .map(({ policy, budget }) => `inactive: ${policy} ${budget} holds the whole prompt.`),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** First and last of neighbours that differ in nothing but their number. */
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
