import { createInterface } from "node:readline";
import { makePolicy, type PolicySpec } from "@ziggurat/policies";
import { anyOf, type Policy, pin } from "@ziggurat/policy";
import { type Message, type Model, Session } from "@ziggurat/runtime";
import type { Command } from "commander";
import { explain, isAbort, UsageError } from "../error.js";
import { bytes, rate } from "../format.js";
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

interface ChatFlags extends CommonFlags, SamplingFlags, TemplateFlags, PolicyFlags {
  readonly tokens?: number;
  readonly system?: string;
  readonly maxCacheMb?: number;
  readonly chunk?: number;
}

const help = `
The session goes on inside its compressed cache; only what is new is read in each turn. A system
prompt is pinned: no policy evicts it.

A line is a turn. /exit or ctrl-D ends; ctrl-C stops an answer, or ends if none is being written.

Examples:
  ziggurat chat
  ziggurat chat --policy streaming --max-cache-mb 4 --chunk 256
      never stops: StreamingLLM with as many rows as fit into 4 MB
  printf 'Hello.\\nWho are you?\\n' | ziggurat chat --json
      one JSON object a turn`;

/** Adds `ziggurat chat`: several turns in one session. */
export function addChat(program: Command): void {
  const command = program
    .command("chat")
    .summary("a conversation in one session")
    .description("Answers line after line in one session, inside the cache that a policy keeps.")
    .option("--system <text>", "a system prompt, if the model's template knows one");
  addPolicies(addTemplate(addSampling(command)), {
    policy: "the cache policy, such as streaming:keep=512 (default: full)",
    keep: "rows per layer, or a share of --tokens",
    tokens: "tokens of a turn, for a share of rows or for --max-cache-mb (default for the latter: context / 4)",
  });
  addOutput(addModel(addCeiling(command)))
    .addHelpText("after", help)
    .action(run);
}

async function run(flags: ChatFlags): Promise<void> {
  const spec = onePolicy("chat", flags);
  const isShare = spec.keep !== undefined && "share" in spec.keep;
  if (isShare && flags.tokens === undefined) {
    const { name } = spec.listed;
    throw new UsageError(
      `${name}: a chat has no one prompt to take a share of; give rows, such as --keep 512, or --tokens, or --max-cache-mb`,
    );
  }
  const bar = progress("loading");
  await withModel(flags, bar, async (model) => {
    bar.end();
    const { maxTokens, chunk, maxCacheMb } = flags;
    const opening: Message[] = flags.system === undefined ? [] : [{ role: "system", content: flags.system }];
    const pinned = opening.length === 0 ? 0 : openingTokens(model, opening, flags.templateVar);
    const maxCacheBytes = maxCacheMb === undefined ? undefined : Math.floor(1e6 * maxCacheMb);
    const limits = {
      maxTokens,
      ...(chunk === undefined ? {} : { chunk }),
      ...(maxCacheBytes === undefined ? {} : { maxCacheBytes }),
    };
    const tokens = flags.tokens ?? Math.floor(model.facts.contextLength / 4);
    const make = (wanted: PolicySpec): Policy => pinFirst(wanted, pinned, tokens);
    const chosen = await withCeiling(model, spec, tokens, limits, make);
    const policy = make(chosen);
    const ceiling = maxCacheBytes === undefined ? {} : { maxCacheBytes };
    if (!flags.json) {
      const { keep } = makePolicy(chosen, tokens);
      const rows = keep === undefined ? "" : `, ${keep} rows`;
      process.stderr.write(`${model.name}, ${policy.name}${rows}. A line is a turn; /exit ends.\n`);
    }
    let session = new Session({ model, policy, ...ceiling });
    let fresh = true;
    try {
      for await (const { line, signal: stop } of lines(!flags.json)) {
        try {
          const message = { role: "user", content: line };
          const prompt = fresh ? [...opening, message] : [message];
          const generation = session.generate({
            prompt,
            maxTokens,
            ...(chunk === undefined ? {} : { chunk }),
            ...sampling(model, flags),
            ...(flags.templateVar ? { templateVariables: flags.templateVar } : {}),
            signal: stop,
          });
          for await (const { text } of generation) if (!flags.json) process.stdout.write(text);
          fresh = false;
          const {
            text,
            finishReason,
            promptTokens,
            generatedTokens,
            policy: did,
            cache,
            timings,
          } = await generation.result;
          const { prefillTokensPerSecond, decodeTokensPerSecond } = timings;
          const facts = {
            policy: policy.name,
            active: did.active,
            seen: session.seen,
            kvBytes: cache.bytes - cache.roomBytes,
            kvPeakBytes: cache.peakBytes,
          };
          const turn = {
            text,
            finishReason,
            promptTokens,
            generatedTokens,
            ...facts,
            prefillTokensPerSecond,
            decodeTokensPerSecond,
          };
          if (flags.json) process.stdout.write(`${JSON.stringify(turn)}\n`);
          else {
            process.stdout.write("\n");
            const rows = Math.max(...session.rows.flat());
            process.stderr.write(
              `[${session.seen} tokens read, ${rows} rows held, K/V ${bytes(turn.kvBytes)}; ${rate(decodeTokensPerSecond)}/s]\n`,
            );
          }
        } catch (error) {
          // A person may try again. Input from elsewhere ends at its first error, as in any other command.
          if (flags.json || !process.stdin.isTTY) throw error;
          process.stderr.write(`\n${isAbort(error) ? "stopped" : explain(error, flags.debug === true)}\n`);
          if (await isOpen(session)) continue;
          session = new Session({ model, policy, ...ceiling });
          fresh = true;
          process.stderr.write("What was read before is gone: reading was stopped midway. This is a new session.\n");
        }
      }
    } finally {
      if (await isOpen(session)) session.close();
    }
  });
}

const isOpen = (session: Session): Promise<boolean> =>
  session.kept().then(
    () => true,
    () => false,
  );

/** How many tokens every conversation starts with. Throws a `UsageError` if the template knows no system prompt. */
function openingTokens(
  model: Model,
  opening: readonly Message[],
  variables: Readonly<Record<string, unknown>> | undefined,
): number {
  const { chat } = model;
  if (!chat) throw new UsageError(`--system: ${model.name} has no chat template`);
  const ids = (content: string) => {
    try {
      return chat.prompt([...opening, { role: "user", content }], { variables });
    } catch (error) {
      throw new UsageError(`--system: ${(error as Error).message}; leave it out`);
    }
  };
  const [a, b] = [ids("a"), ids("b")];
  return a.findIndex((id, at) => id !== b[at]);
}

/**
 * The policy for turns of `tokens` tokens, with the first `pinned` tokens protected. A policy whose other rows are all
 * the newest takes them as sinks, or the protected rows would exceed its budget.
 */
function pinFirst(spec: PolicySpec, pinned: number, tokens: number): Policy {
  const { declared } = spec.listed.options;
  if (pinned === 0 || !("keep" in declared)) return makePolicy(spec, tokens).policy;
  const known = declared.sinks;
  if (known) {
    const sinks = Math.max(pinned, Number(spec.options.sinks ?? known.default));
    return makePolicy({ ...spec, options: { ...spec.options, sinks } }, tokens).policy;
  }
  const { policy } = makePolicy(spec, tokens);
  return { ...policy, protect: anyOf(policy.protect, pin(0, pinned)) };
}

/** The longest line that is read, in characters: more than any model reads. */
const longestLine = 4e6;

/** Lines of a stream that is no terminal. Throws a `UsageError` for a line without an end. */
async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of input) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/);
    rest = parts.pop()!;
    yield* parts;
    if (rest.length > longestLine)
      throw new UsageError(`stdin: a line is longer than ${longestLine} characters, which no model reads; shorten it`);
  }
  if (rest !== "") yield rest;
}

/** Lines that are not blank, each with the signal that ctrl-C aborts during its turn. Ends with /exit or the input. */
async function* lines(prompting: boolean): AsyncGenerator<{ readonly line: string; readonly signal: AbortSignal }> {
  const { stdin, stderr } = process;
  const reader =
    stdin.isTTY === true
      ? createInterface({ input: stdin, ...(prompting ? { output: stderr, terminal: true } : {}), prompt: "> " })
      : undefined;
  let turn: AbortController | undefined;
  const interrupt = () => {
    if (turn) turn.abort();
    else if (reader) reader.close();
    else stdin.destroy();
  };
  reader?.on("SIGINT", interrupt);
  signal.addEventListener("abort", interrupt);
  const prompt = () => prompting && reader?.prompt();
  try {
    prompt();
    for await (const line of reader ?? linesOf(stdin)) {
      if (line.trim() === "/exit") return;
      if (line.trim() !== "") {
        turn = new AbortController();
        yield { line, signal: turn.signal };
        turn = undefined;
      }
      prompt();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", interrupt);
    reader?.close();
    stdin.destroy();
  }
}
