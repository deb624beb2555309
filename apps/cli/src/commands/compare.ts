import { policies } from "@ziggurat/policies";
import { type Command, Option } from "commander";
import { compare, type Mode, type Refusal, type Run, warmUp } from "../comparison.js";
import { type Document, encodeDocument, encodeStretch, readText } from "../document.js";
import { UsageError } from "../error.js";
import { json, terminalWidth } from "../format.js";
import { haystack, material, type Task, tasks } from "../haystack/index.js";
import { withModel } from "../load.js";
import {
  addModel,
  addOutput,
  addPolicies,
  addTemplate,
  type CommonFlags,
  type TemplateFlags,
  whole,
} from "../options.js";
import { type PolicyFlags, policiesOf } from "../policies.js";
import { progress } from "../progress.js";
import { type Comparison, enoughTokens, report, summarise } from "../report.js";
import { signal } from "../signal.js";

interface CompareFlags extends CommonFlags, PolicyFlags, TemplateFlags {
  readonly demo?: boolean;
  readonly text?: string;
  readonly task?: Task;
  readonly tokens?: number;
  readonly seed: number;
  readonly question?: string;
  readonly expect?: string;
  readonly maxTokens: number;
  readonly score?: number;
  readonly isolate?: boolean;
  readonly askLater?: boolean;
  readonly repeat: number;
}

/** Policies that a comparison runs by default: few enough to wait for. */
const published = "streaming,h2o,snapkv,pyramidkv";
const usual = { policy: `full,${published},random,sinks`, keep: "12%" };

/** What --demo stands for: one generated document, and the published policies at a second budget. */
const demo = {
  task: "needles" as const,
  tokens: 4096,
  ...usual,
  policy: [usual.policy, ...published.split(",").map((name) => `${name}:keep=128`)].join(","),
};

const help = `
Policies:
${policies.map(({ name, title, summary }) => `  ${name.padEnd(10)} ${title}: ${summary}`).join("\n")}
Options of one policy follow its name and hold for it alone: snapkv:keep=256,window=16
A budget is a number of rows per layer, or a share of the prompt. A share is never less than the
fewest rows that a policy accepts: window + 1 for snapkv and pyramidkv, sinks + 1 for streaming and
sinks. A policy that refuses its budget is left out, and the report says why.

Examples:
  ziggurat compare --demo
      the main job on a generated document of 4096 tokens
  ziggurat compare --text book.txt --question "Where does Clara live?" --keep 12%,128
      a text of yours, two budgets
  ziggurat compare --text book.txt --tokens 4096
      no question: the perplexity of the 512 tokens that follow the first 4096
  ziggurat compare --task needles --tokens 2048 --repeat 20 --policy full,snapkv,pyramidkv,random
      right answers over 20 generated documents, seeds 1 to 20
  ziggurat compare --task table --ask-later
      the document is read, and compressed, before the question is known
  ziggurat compare --task needle --isolate --json
      each policy alone, with its own peak memory and prefill speed, for programs`;

/** Adds `ziggurat compare`: one text, several policies. */
export function addCompare(program: Command): void {
  const command = program
    .command("compare")
    .summary("one long text, several cache policies side by side")
    .description(
      "Reads one long text under several cache policies and prints, per policy, the answer, or the perplexity of what follows, the bytes it held and how fast it was.",
    )
    .option(
      "--demo",
      "the main job on a generated document: needles, 4096 tokens, seed 1, seven policies in eleven runs",
    )
    .option("--text <file>", "a text to read; - for stdin")
    .addOption(new Option("--task <name>", "a document to generate instead").choices([...tasks]))
    .option("--seed <n>", "another seed, another document", whole(0), 1)
    .option("--repeat <n>", "how many documents to generate, with seeds from --seed on", whole(1), 1)
    .option("--question <text>", "what to ask about --text")
    .option("--expect <answer>", "the right answer to --question")
    .option("--isolate", "run each policy alone: its own peak memory and prefill speed")
    .option("--ask-later", "read the text first, ask in a second turn")
    .option(
      "--score <n>",
      "--text without --question: how many tokens after those read are scored (default 512)",
      whole(1),
    )
    .option("--max-tokens <n>", "the longest answer; decode speed is measured over as many", whole(1), enoughTokens);
  addPolicies(command, {
    policy: `policies to compare, between commas (default: ${usual.policy})`,
    keep: `rows per layer, or a share of the prompt; several between commas (default: ${usual.keep})`,
    tokens: "how much of --text to read, or how long a document to generate (default 4096)",
  });
  addOutput(addModel(addTemplate(command)))
    .addHelpText("after", help)
    .action(run);
}

async function run(flags: CompareFlags): Promise<void> {
  const specs = policiesOf(flags, flags.demo ? demo : usual);
  const mode: Mode = flags.askLater ? "ask-later" : flags.isolate ? "isolated" : "shared";
  checkSource(flags);
  const given = flags.text === undefined ? undefined : await readGiven(flags, flags.text);
  const bar = progress("comparing");

  const comparison = await withModel(flags, bar, async (model): Promise<Comparison> => {
    const task = flags.demo ? demo.task : flags.task;
    const generated =
      task && (await generator(task, flags.tokens ?? demo.tokens, (text) => model.tokenizer?.encode(text).length ?? 0));
    const runs: (Run & { seed?: number })[] = [];
    const refusals: (Refusal & { seed?: number })[] = [];
    let first: ReturnType<typeof encodeDocument> | undefined;
    const started = performance.now();
    for (let at = 0; at < flags.repeat; at++) {
      const seed = flags.seed + at;
      const stretch = given && given.question === undefined;
      const document = stretch
        ? encodeStretch(model, given.text, flags)
        : encodeDocument(model, given ?? generated!(seed), {
            variables: flags.templateVar,
            ...(given ? { tokens: flags.tokens } : {}),
          });
      if (!first) await warmUp(model, (first = document), signal);
      const onProgress = (done: number, what: string) =>
        bar.update(
          (at + done) / flags.repeat,
          flags.repeat > 1 ? `document ${at + 1} of ${flags.repeat}: ${what}` : what,
        );
      for await (const result of compare({
        model,
        document,
        policies: specs,
        mode,
        maxTokens: flags.maxTokens,
        signal,
        onProgress,
      })) {
        const from = generated ? { seed } : {};
        if ("refused" in result) refusals.push({ ...result, ...from });
        else runs.push({ ...result, ...from });
      }
    }
    return {
      model: model.name,
      backend: model.backend.info.name,
      device: model.backend.info.device,
      rows: model.rowDType,
      mode,
      ...(task ? { task } : {}),
      promptTokens: first!.ids.length,
      question: first!.question ?? null,
      expected: first!.expected ?? null,
      ...(first!.following ? { scoredTokens: first!.following.length } : {}),
      documents: flags.repeat,
      runs,
      refusals,
      ...(flags.repeat > 1 ? { summary: summarise(runs) } : {}),
      seconds: (performance.now() - started) / 1000,
    };
  });
  if (flags.json) return void process.stdout.write(json(comparison));
  const { task } = comparison;
  const seeds = flags.repeat > 1 ? `seeds ${flags.seed} to ${flags.seed + flags.repeat - 1}` : `seed ${flags.seed}`;
  const source = task ? [`generated: ${task}, ${seeds}`] : [];
  process.stdout.write(`${[...source, ...report(comparison, terminalWidth())].join("\n")}\n`);
}

function checkSource({ demo, text, task, question, expect, repeat, askLater, tokens, score }: CompareFlags): void {
  const sources = [demo && "--demo", text !== undefined && "--text", task && "--task"].filter(
    (name) => typeof name === "string",
  );
  if (sources.length === 0)
    throw new UsageError(`there is no text to read; give --text FILE, --task ${tasks.join("|")}, or --demo`);
  if (sources.length > 1) throw new UsageError(`${sources.join(" and ")} cannot go together; give one of them`);
  if (score !== undefined && (text === undefined || question !== undefined))
    throw new UsageError("--score goes with --text and no --question");
  if (text === undefined) {
    if (tokens !== undefined && tokens < 128)
      throw new UsageError(`--tokens is ${tokens}; a generated document has at least 128`);
    if (question !== undefined || expect !== undefined)
      throw new UsageError("--question and --expect go with --text; a generated document has its own");
    return;
  }
  if (question !== undefined && question.trim() === "")
    throw new UsageError("--question is empty; it must ask something");
  if (expect !== undefined && question === undefined)
    throw new UsageError("--expect is the answer to a question; give --question as well");
  if (askLater && question === undefined)
    throw new UsageError("--ask-later asks a question in a second turn; give --question");
  if (repeat > 1) throw new UsageError("--repeat makes new documents; it goes with --task or --demo, not with --text");
}

async function readGiven({ question, expect }: CompareFlags, path: string): Promise<Document> {
  const text = await readText("--text", path);
  return {
    text,
    ...(question === undefined ? {} : { question }),
    ...(expect === undefined ? {} : { expected: expect }),
  };
}

/** Makes documents, one for each seed. */
async function generator(
  task: Task,
  tokens: number,
  length: (text: string) => number,
): Promise<(seed: number) => Document> {
  const made = await material();
  // Eight facts, fewer in documents too short for them.
  const needles = Math.min(8, Math.floor(tokens / 64));
  return (seed) => {
    const { text, question, answer } = haystack({ task, tokens, seed, material: made, length, needles });
    return { text, question, expected: answer };
  };
}
