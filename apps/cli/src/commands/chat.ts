import { createInterface } from "node:readline";
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
  addPolicyOptions,
  addSampling,
  type CommonFlags,
  policyOptions,
  type SamplingFlags,
  sampling,
} from "../options.js";
import { makePolicy, type PolicySpec, parsePolicy, withCeiling, withShared } from "../policies.js";
import { progress } from "../progress.js";
import { signal } from "../signal.js";

interface ChatFlags extends CommonFlags, SamplingFlags {
  readonly policy: string;
  readonly system?: string;
  readonly maxCacheMb?: number;
  readonly chunk?: number;
}

const help = `
The session goes on inside its compressed cache; only what is new is read in each turn. A system
prompt is pinned: no policy evicts it.

A line is a turn. /exit or ctrl-D ends; ctrl-C stops an answer, or ends where none is written.

Examples:
  ziggurat chat
  ziggurat chat --policy streaming --max-cache-mb 4 --chunk 256
      never stops: StreamingLLM with as many rows as fit into 4 MB
  printf 'Hello.\\nWho are you?\\n' | ziggurat chat --json
      one JSON object a turn`;

/** `ziggurat chat`: several turns in one session. */
export const addChat = (program: Command): Command =>
  addOutput(
    addModel(
      addPolicyOptions(
        addCeiling(
          addSampling(
            program
              .command("chat")
              .summary("a conversation in one session")
              .description("Answers line after line in one session, inside the cache that a policy keeps.")
              .option(
                "--policy <policy>",
                "the cache policy, such as streaming:keep=512; budgets are rows here",
                "full",
              )
              .option("--system <text>", "a system prompt, where the model's template knows one"),
          ),
        ),
      ),
    ),
  )
    .addHelpText("after", help)
    .action(run);

async function run(flags: ChatFlags): Promise<void> {
  const [spec] = withShared([parsePolicy(flags.policy)], policyOptions({ ...flags }));
  if (spec!.keep && "share" in spec!.keep) {
    throw new UsageError(
      `${spec!.name}: a chat has no one prompt to take a share of; give rows, such as ${spec!.name}:keep=512, or --max-cache-mb`,
    );
  }
  const bar = progress("loading");
  await withModel(flags, bar, async (model) => {
    bar.end();
    const { maxTokens, chunk, maxCacheMb } = flags;
    const opening: Message[] = flags.system === undefined ? [] : [{ role: "system", content: flags.system }];
    const pinned = opening.length === 0 ? 0 : openingTokens(model, opening);
    const maxCacheBytes = maxCacheMb === undefined ? undefined : Math.floor(1e6 * maxCacheMb);
    const limits = {
      maxTokens,
      ...(chunk === undefined ? {} : { chunk }),
      ...(maxCacheBytes === undefined ? {} : { maxCacheBytes }),
    };
    const make = (wanted: PolicySpec): Policy => pinFirst(wanted, pinned);
    // A ceiling holds for turns of up to a quarter of the context.
    const chosen = withCeiling(model, spec!, Math.floor(model.facts.contextLength / 4), limits, make);
    const policy = make(chosen);
    const ceiling = maxCacheBytes === undefined ? {} : { maxCacheBytes };
    if (!flags.json) {
      const rows = chosen.keep && "rows" in chosen.keep ? `, ${chosen.keep.rows} rows` : "";
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
            ...sampling(flags),
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
          // Programs get their first error as they would from any other command; a person may try again.
          if (flags.json) throw error;
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

/**
 * How many tokens a conversation starts with, whatever is said in it. Throws a `UsageError` where the template knows no
 * system prompt.
 */
function openingTokens(model: Model, opening: readonly Message[]): number {
  const { chat } = model;
  if (!chat) throw new UsageError(`--system: ${model.name} has no chat template`);
  const ids = (content: string) => {
    try {
      return chat.prompt([...opening, { role: "user", content }]);
    } catch (error) {
      throw new UsageError(`--system: ${(error as Error).message}; leave it out`);
    }
  };
  const [a, b] = [ids("a"), ids("b")];
  return a.findIndex((id, at) => id !== b[at]);
}

/**
 * The policy with the first `tokens` tokens pinned. Where all other rows are the newest, they must be sinks, or
 * protected rows would exceed the budget.
 */
function pinFirst(spec: PolicySpec, tokens: number): Policy {
  if (tokens === 0 || !spec.kind.keeps) return makePolicy(spec, 1).policy;
  if (spec.kind.options.includes("sinks")) {
    const sinks = Math.max(tokens, Number(spec.options.sinks ?? 4));
    return makePolicy({ ...spec, options: { ...spec.options, sinks } }, 1).policy;
  }
  const { policy } = makePolicy(spec, 1);
  return { ...policy, protect: anyOf(policy.protect, pin(0, tokens)) };
}

/**
 * Lines that are not blank, each with the signal that ctrl-C aborts while it is answered; ends with /exit or the input.
 */
async function* lines(prompting: boolean): AsyncGenerator<{ readonly line: string; readonly signal: AbortSignal }> {
  const { stdin, stderr } = process;
  const terminal = prompting && stdin.isTTY === true;
  const reader = createInterface({ input: stdin, ...(terminal ? { output: stderr, terminal } : {}), prompt: "> " });
  let turn: AbortController | undefined;
  const interrupt = () => (turn ? turn.abort() : reader.close());
  reader.on("SIGINT", interrupt);
  signal.addEventListener("abort", interrupt);
  try {
    if (terminal) reader.prompt();
    for await (const line of reader) {
      if (line.trim() === "/exit") return;
      if (line.trim() !== "") {
        turn = new AbortController();
        yield { line, signal: turn.signal };
        turn = undefined;
      }
      if (terminal) reader.prompt();
    }
  } finally {
    signal.removeEventListener("abort", interrupt);
    reader.close();
  }
}
