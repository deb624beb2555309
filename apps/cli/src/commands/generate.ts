import { makePolicy } from "@ziggurat/policies";
import { generate, type Message, type Model } from "@ziggurat/runtime";
import type { Command } from "commander";
import { encodeDocument, readText } from "../document.js";
import { quote, UsageError } from "../error.js";
import { bytes, json, rate } from "../format.js";
import { withModel } from "../load.js";
import {
  addCeiling,
  addModel,
  addOutput,
  addPolicies,
  addSampling,
  addTemplate,
  type CommonFlags,
  type SamplingFlags,
  sampling,
  type TemplateFlags,
} from "../options.js";
import { onePolicy, type PolicyFlags, withCeiling } from "../policies.js";
import { progress } from "../progress.js";
import { signal } from "../signal.js";

interface GenerateFlags extends CommonFlags, SamplingFlags, TemplateFlags, PolicyFlags {
  readonly text?: string;
  readonly messages?: string;
  readonly raw?: boolean;
  readonly tokens?: number;
  readonly maxCacheMb?: number;
  readonly chunk?: number;
}

const help = `
Examples:
  ziggurat generate "Where is Paris?"
  ziggurat generate --text book.txt "Where does Clara live?" --policy snapkv --keep 12%
      the text, a newline and the prompt as one message
  ziggurat generate --messages chat.json --temperature 0.7 --seed 1
      a JSON array of { "role": "user", "content": "..." }
  ziggurat generate --raw "Once upon a time" --max-tokens 64
      no chat template: the model goes on with the text
  ziggurat generate --text book.txt "..." --policy pyramidkv --max-cache-mb 8
      as many rows as fit into 8 MB`;

/** Adds `ziggurat generate`: one answer, streamed. */
export function addGenerate(program: Command): void {
  const command = program
    .command("generate")
    .summary("one answer under one policy")
    .description("Answers one prompt inside the cache that a policy keeps, and streams the text to stdout.")
    .argument("[prompt]", "what to ask; - for stdin")
    .option("--text <file>", "a text to read before the prompt; - for stdin")
    .option("--messages <file>", "chat messages as JSON, instead of a prompt")
    .option("--raw", "give the model the text as it is, without its chat template");
  addPolicies(addTemplate(addSampling(command)), {
    policy: "the cache policy, such as snapkv:keep=256,window=16 (default: full)",
    keep: "rows per layer, or a share of the prompt, such as 12%",
    tokens: "how much of --text to read (default: all)",
  });
  addOutput(addModel(addCeiling(command)))
    .addHelpText("after", help)
    .action(run);
}

async function run(prompt: string | undefined, flags: GenerateFlags): Promise<void> {
  const spec = onePolicy("generate", flags);
  const read = await reader(prompt, flags);
  const bar = progress("generating");
  await withModel(flags, bar, async (model) => {
    const ids = read(model);
    const { maxTokens, chunk, maxCacheMb } = flags;
    const maxCacheBytes = maxCacheMb === undefined ? undefined : Math.floor(1e6 * maxCacheMb);
    const limits = {
      maxTokens,
      ...(chunk === undefined ? {} : { chunk }),
      ...(maxCacheBytes === undefined ? {} : { maxCacheBytes }),
    };
    const named = makePolicy(await withCeiling(model, spec, ids.length, limits), ids.length);
    const onProgress = (done: number) => bar.update(done, `reading ${ids.length} tokens`);
    const generation = generate({
      model,
      policy: named.policy,
      prompt: ids,
      ...limits,
      ...sampling(model, flags),
      signal,
      onProgress,
    });
    for await (const { text } of generation) {
      bar.end();
      if (!flags.json) process.stdout.write(text);
    }
    const { text, finishReason, promptTokens, generatedTokens, seed, policy, cache, timings } = await generation.result;
    const { prefillTokensPerSecond, decodeTokensPerSecond } = timings;
    const rowsPerLayer = cache.rows.map((heads) => heads.reduce((a, b) => a + b, 0) / heads.length);
    const sizes = {
      rowsPerLayer,
      kvBytes: cache.bytes - cache.roomBytes,
      roomBytes: cache.roomBytes,
      kvPeakBytes: cache.peakBytes,
    };
    if (flags.json) {
      const facts = {
        model: model.name,
        backend: model.backend.info.name,
        policy: named.name,
        keep: named.keep ?? null,
        active: policy.active,
      };
      const counts = { promptTokens, generatedTokens, seed, prefill: policy.prefill };
      const value = {
        ...facts,
        text,
        finishReason,
        ...counts,
        ...sizes,
        prefillTokensPerSecond,
        decodeTokensPerSecond,
      };
      return void process.stdout.write(json(value));
    }
    process.stdout.write("\n");
    const kept =
      named.keep === undefined
        ? ""
        : policy.active
          ? ` kept ${named.budget}`
          : ` inactive: the prompt fits ${named.keep} rows`;
    const speeds = `${rate(prefillTokensPerSecond)}/s read, ${rate(decodeTokensPerSecond)}/s written`;
    process.stderr.write(
      `[${promptTokens} + ${generatedTokens} tokens, ${finishReason}; ${named.name}${kept}; K/V ${bytes(sizes.kvBytes)}, peak ${bytes(sizes.kvPeakBytes)}; ${speeds}]\n`,
    );
  });
}

/** Reads the files that the flags name, and returns what encodes them for a model. Rejects with a `UsageError`. */
async function reader(
  prompt: string | undefined,
  { text, messages, raw, tokens, templateVar: variables }: GenerateFlags,
): Promise<(model: Model) => readonly number[]> {
  if (tokens !== undefined && text === undefined)
    throw new UsageError("--tokens is how much of --text to read; give --text FILE as well");
  if (messages !== undefined) {
    if (prompt !== undefined || text !== undefined || raw)
      throw new UsageError("--messages is a whole prompt; leave out the prompt, --text and --raw");
    const read = parseMessages(messages, await readText("--messages", messages));
    return ({ chat, name }) => {
      if (!chat) throw new UsageError(`--messages: ${name} has no chat template; give it text`);
      return chat.prompt(read, { variables });
    };
  }
  if (prompt === undefined && text === undefined)
    throw new UsageError('there is no prompt; write one, such as ziggurat generate "Where is Paris?"');
  if (prompt === "-" && text === "-") throw new UsageError("the prompt and --text cannot both come from stdin");
  const question = prompt === "-" ? await readText("prompt", "-") : prompt;
  if (question !== undefined && question.trim() === "")
    throw new UsageError("the prompt is empty; it must hold some text");
  const whole =
    text === undefined
      ? { text: question! }
      : { text: await readText("--text", text), ...(question === undefined ? {} : { question }) };
  return (model) => encodeDocument(model, whole, { raw, tokens, variables }).ids;
}

function parseMessages(path: string, text: string): Message[] {
  const wrong = (why: string) =>
    new UsageError(`--messages: ${quote(path)} ${why}; it must be [{ "role": "user", "content": "..." }]`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw wrong(`is no JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(value) || value.length === 0) throw wrong("is no array with a message in it");
  // What a message may hold is checked with the template.
  return value as Message[];
}
