import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { h2o } from "@ziggurat/h2o";
import { full, type Policy, random, sinksAndRecent } from "@ziggurat/policy";
import { pyramidkv } from "@ziggurat/pyramid";
import { generate, loadModel } from "@ziggurat/runtime";
import { file, folder } from "@ziggurat/runtime/node";
import { snapkv } from "@ziggurat/snapkv";
import { streaming } from "@ziggurat/streaming";
import type { Backend } from "@ziggurat/tensor";
import { lookingAtScores } from "./close-rows.js";

// Compares kept rows and tokens of a model on the GPU with those on the CPU: ten prompts, every policy, weights and
// rows in f32, greedy tokens.
//   pnpm parity expect FILE TEXT MODEL             runs on the CPU backend: prompts from a text, answers into FILE
//   node parity.mjs compare FILE... --models DIR   runs on the GPU, with models of the same names in a folder
// Rows may differ if their score is within `close` of that of the last row kept, and tokens if the two highest logits
// are that close. The rest of such an answer is not compared.
const close = 1e-4;
const [promptCount, promptTokens, answerTokens] = [10, 160, 12];
const policies: readonly Policy[] = [
  full(),
  streaming({ keep: 48, sinks: 4 }),
  sinksAndRecent({ keep: 48 }),
  random({ keep: 48, seed: 5 }),
  h2o({ keep: 48 }),
  snapkv({ keep: 48, window: 8 }),
  pyramidkv({ keep: 48, window: 8 }),
];

interface Answer {
  readonly ids: readonly number[];
  /** For each token, the relative distance of the second highest logit from the highest. */
  readonly gaps: readonly number[];
  readonly kept: { readonly afterPrefill: number[][][]; readonly atEnd: number[][][] };
  /** [layer][KV head]: positions of rows whose score nearly equals that of the last row kept. */
  readonly closeRows: number[][][];
}
interface Expected {
  readonly model: string;
  readonly prompts: readonly (readonly number[])[];
  readonly answers: readonly (readonly Answer[])[];
}

const filesOf = (path: string) => (path.endsWith(".gguf") ? file(path) : folder(path));
const load = (path: string, backend: Backend) => loadModel(filesOf(path), { backend, weights: "f32", rows: "f32" });
type Loaded = Awaited<ReturnType<typeof load>>;

async function answer(model: Loaded, policy: Policy, prompt: readonly number[]): Promise<Omit<Answer, "closeRows">> {
  const generation = generate({
    model,
    policy,
    prompt,
    maxTokens: answerTokens,
    ignoreEnd: true,
    temperature: 0,
    kept: true,
    logits: true,
  });
  const gaps: number[] = [];
  for await (const { logits } of generation) {
    const [first, second] = [...logits!].sort((a, b) => b - a) as [number, number];
    gaps.push((first - second) / Math.abs(first));
  }
  const { ids, cache } = await generation.result;
  return { ids, gaps, kept: cache.kept! };
}

async function expected(to: string, text: string, path: string): Promise<void> {
  const { cpu } = await import("@ziggurat/cpu");
  const { backend, take } = lookingAtScores(await cpu({ threads: 2 }), close);
  const model = await load(path, backend);
  const all = model.tokenizer!.encode(readFileSync(text, "utf8"));
  const prompts = Array.from({ length: promptCount }, (_, i) => all.slice(1000 * i, 1000 * i + promptTokens));
  const answers: Answer[][] = [];
  for (const [index, prompt] of prompts.entries()) {
    const row: Answer[] = [];
    for (const policy of policies) {
      await take();
      const found = await answer(model, policy, prompt);
      const firings = await take();
      const layers = found.kept.atEnd.length;
      // Layers compress in turn. Without compression no row is in doubt.
      const closeRows = found.kept.atEnd.map((heads, layer) =>
        heads.map((_, head) => [
          ...new Set(firings.filter((_, at) => at % layers === layer).flatMap((firing) => firing[head]!)),
        ]),
      );
      row.push({ ...found, closeRows });
    }
    answers.push(row);
    console.log(`prompt ${index + 1} of ${promptCount}`);
  }
  writeFileSync(to, JSON.stringify({ model: basename(path), prompts, answers } satisfies Expected));
  await backend.dispose();
}

/** Counts rows that only one side kept; `wrong` counts those that no close score explains. */
function unlike(mine: number[][][], theirs: number[][][], excused: number[][][]) {
  const rows = theirs.flatMap((heads, layer) =>
    heads.flatMap((own, head) => {
      const [a, b] = [new Set(own), new Set(mine[layer]![head])];
      const apart = [...own.filter((row) => !b.has(row)), ...mine[layer]![head]!.filter((row) => !a.has(row))];
      return apart.map((row) => ({
        where: `layer ${layer} head ${head} row ${row}`,
        close: excused[layer]![head]!.includes(row),
      }));
    }),
  );
  return { close: rows.filter((row) => row.close), wrong: rows.filter((row) => !row.close) };
}

async function compare(from: string, models: string): Promise<boolean> {
  const { create } = await import("./create.js");
  const want = JSON.parse(readFileSync(from, "utf8")) as Expected;
  const backend = await create();
  const model = await load(`${models}/${want.model}`, backend);
  let [same, excepted, wrong] = [0, 0, 0];
  for (const [p, prompt] of want.prompts.entries()) {
    for (const [i, policy] of policies.entries()) {
      const theirs = want.answers[p]![i]!;
      const mine = await answer(model, policy, prompt);
      const say = (what: string) => console.log(`  ${want.model}, prompt ${p + 1}, ${policy.name}: ${what}`);
      const prefill = unlike(mine.kept.afterPrefill, theirs.kept.afterPrefill, theirs.closeRows);
      const token = theirs.ids.findIndex((id, at) => id !== mine.ids[at]);
      const end = token < 0 ? unlike(mine.kept.atEnd, theirs.kept.atEnd, theirs.closeRows) : { close: [], wrong: [] };
      const closeRows = prefill.close.length + end.close.length;
      const closeToken = token >= 0 && theirs.gaps[token]! < close;
      if (closeRows > 0)
        say(`close scores decide ${[...prefill.close, ...end.close].map(({ where }) => where).join(", ")}`);
      if (closeToken) say(`close logits decide token ${token}: relative gap ${theirs.gaps[token]!.toExponential(1)}`);
      const bad =
        prefill.wrong.length > 0 || (closeRows === 0 && ((token >= 0 && !closeToken) || end.wrong.length > 0));
      if (bad)
        say(
          `WRONG: ${[...prefill.wrong, ...end.wrong].map(({ where }) => where).join(", ")} token ${token} gap ${theirs.gaps[token] ?? "-"}`,
        );
      if (bad) wrong++;
      else if (closeRows > 0 || closeToken) excepted++;
      else same++;
    }
  }
  console.log(
    `${want.model}: ${same} answers the same in rows and tokens, ${excepted} but for close scores, ${wrong} wrong`,
  );
  model.free();
  await backend.dispose();
  return wrong === 0;
}

const [mode, ...rest] = process.argv.slice(2);
if (mode === "expect") await expected(rest[0]!, rest[1]!, rest[2]!);
else {
  const models = rest[rest.indexOf("--models") + 1]!;
  for (const from of rest.slice(0, rest.indexOf("--models"))) if (!(await compare(from, models))) process.exitCode = 1;
}
