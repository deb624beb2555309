import { existsSync } from "node:fs";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { openModel } from "@ziggurat/runtime";
import { file } from "@ziggurat/runtime/node";
import { Pages } from "./browser.js";
import { Child } from "./child.js";
import { installPeers } from "./install.js";
import { loadOnce } from "./load-once.js";
import { toQ8 } from "./q8.js";
import type { PageRates, Rate } from "./questions.js";
import { Samples } from "./samples.js";
import { fillTokens, keepRows, pageTokens, printRows, readTokens } from "./table.js";

export type Part = "native" | "browser" | "load";

export interface PeersOptions {
  /** A GGUF file; Q4_1 tensors are rewritten in Q8_0 first. */
  readonly model: string | undefined;
  readonly text: string | undefined;
  readonly threads: number;
  readonly rounds: number;
  readonly only: Part | undefined;
  /** Goes on with the last run's samples. */
  readonly resume: boolean;
}

/** Tokens that are timed after the first, natively and in pages. */
const write = 64;
const pageWrite = 32;
/** wllama reads for a minute: pages are measured in two rounds unless more than three were asked for. */
const pageRounds = (rounds: number) => (rounds > 3 ? rounds : Math.min(rounds, 2));
/** The longest that an answer is waited for. */
const seconds = 300;

// The build puts this module into dist/main.js and the processes into dist/peers/.
const dist = fileURLToPath(new URL(".", import.meta.url));
const root = join(dist, "../../..");
const script = (name: string) => join(dist, "peers", `${name}.js`);

/**
 * Ziggurat beside node-llama-cpp and wllama: the same weights, the same tokens, the same number of threads, one after
 * the other in turn.
 */
export async function peers({ model, text, threads, rounds, only, resume }: PeersOptions): Promise<void> {
  const folder = join(root, ".bench/peers");
  const wants = (part: Part) => only === undefined || only === part;
  const packages = only === "load" ? [] : await installPeers(folder);
  await mkdir(folder, { recursive: true });
  const path = await quantised(model, folder);
  const { ids, texts } = await tokenIds(path, text ?? join(root, "apps/cli/texts/alice.txt"));
  const idsPath = join(folder, "ids.json");
  await writeFile(idsPath, JSON.stringify(ids));

  const built = await Promise.all(
    ["packages/cpu/wasm/base-shared.wasm", "packages/runtime/dist/index.js"].map((name) => stat(join(root, name))),
  );
  const settings = JSON.stringify([
    path,
    text,
    threads,
    rounds,
    packages,
    process.versions.node,
    built.map(({ mtimeMs }) => mtimeMs),
  ]);
  const samples = await Samples.open(join(folder, "samples.json"), settings, resume);
  if (loadavg()[0]! > 0.7)
    console.error(`the machine is not idle (load average ${loadavg()[0]!.toFixed(1)}): ratios will be off`);

  const facts = { devices: new Map<string, string>(), path, threads, packages };
  const note = (who: string, device: string | undefined) => device !== undefined && facts.devices.set(who, device);
  const entry = join(folder, "node_modules/node-llama-cpp/dist/index.js");
  const ours = () => new Child(script("ours"), [path, idsPath, String(threads), String(keepRows)]);
  const llama = (context: number) =>
    new Child(script("node-llama-cpp"), [entry, path, idsPath, String(threads), String(context)]);
  const pages = wants("browser")
    ? await Pages.open({ root, folder, model: path, chromium: chromiumPath() })
    : undefined;
  const children: Child[] = [];
  let filled: { ours: Child; llama: Child } | undefined;

  /** Measures the samples that this round lacks under `names`. A failure is reported, and the rest continues. */
  const step = async (
    round: number,
    names: readonly string[],
    work: () => Promise<Readonly<Record<string, number>>>,
  ) => {
    if (names.every((name) => samples.count(name) > round)) return;
    const begun = performance.now();
    try {
      const measured = await work();
      await samples.add(measured);
      const found = Object.entries(measured).map(([name, value]) => `${name} ${value.toFixed(2)}`);
      console.error(`round ${round + 1}: ${found.join(", ")} (${((performance.now() - begun) / 1000).toFixed(0)} s)`);
    } catch (error) {
      console.error(
        `round ${round + 1}: ${names.join(", ")}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  };
  const once = async (child: Child, who: string): Promise<number> => {
    try {
      const { rate, device } = await child.ask<Rate>({ do: "read", tokens: readTokens }, seconds);
      note(who, device);
      return rate;
    } finally {
      child.end();
    }
  };
  const page = async (name: "ours" | "wllama"): Promise<PageRates> => {
    const task = {
      ids: ids.slice(0, readTokens),
      texts,
      prefill: readTokens,
      decodeAt: pageTokens,
      write: pageWrite,
      threads,
    };
    const rates = await pages!.measure(name, task, seconds);
    note(`${name} in ${rates.browser}`, rates.device);
    return rates;
  };
  /** The two processes whose caches are full; each decodes when asked, and is stopped otherwise. */
  const fill = async (left: number) => {
    const both = { llama: llama(8192), ours: ours() };
    children.push(both.llama, both.ours);
    const filling = { do: "fill", tokens: fillTokens, rounds: left, write };
    for (const [who, child] of Object.entries(both)) {
      const { rate } = await child.ask<Rate>(filling, seconds);
      console.error(`${who}: ${fillTokens} tokens read at ${rate.toFixed(1)} tokens/s`);
    }
    return both;
  };

  try {
    for (let round = 0; round < rounds; round++) {
      const inTurn = <Work>(works: readonly Work[]) => (round % 2 === 0 ? works : [...works].reverse());
      if (wants("native")) {
        const reads = [
          () => step(round, ["ours.read"], async () => ({ "ours.read": await once(ours(), "ours in Node") })),
          () =>
            step(round, ["llama.read"], async () => ({
              "llama.read": await once(llama(readTokens + 256), "node-llama-cpp"),
            })),
        ];
        for (const read of inTurn(reads)) await read();
      }
      if (wants("load"))
        await step(round, ["load.first", "load.read"], () => loadOnce(script, path, threads, ids.slice(0, 8)));
      if (wants("browser") && round < pageRounds(rounds)) {
        for (const name of inTurn(["ours", "wllama"] as const)) {
          await step(round, [`${name}.page.read`, `${name}.page.decode`], async () => {
            const rates = await page(name);
            return { [`${name}.page.read`]: rates.prefill, [`${name}.page.decode`]: rates.decode };
          });
        }
      }
      if (wants("native")) {
        await step(round, ["llama.decode", "ours.decode", "ours.decode.kept"], async () => {
          try {
            filled ??= await fill(rounds - round);
            const [peer, whole, kept] = [
              await filled.llama.ask<Rate>({ do: "decode" }, seconds),
              await filled.ours.ask<Rate>({ do: "decode" }, seconds),
              await filled.ours.ask<Rate>({ do: "decode" }, seconds),
            ];
            return { "llama.decode": peer.rate, "ours.decode": whole.rate, "ours.decode.kept": kept.rate };
          } catch (error) {
            // What is still under way must not disturb what follows; a later round begins anew.
            for (const child of children.splice(0)) child.end();
            filled = undefined;
            throw error;
          }
        });
      }
    }
  } finally {
    for (const child of children) child.end();
    pages?.close();
  }
  printRows(samples, facts);
}

function chromiumPath(): string {
  const path = process.env.ZIGGURAT_CHROMIUM ?? "/usr/bin/chromium";
  if (!existsSync(path))
    throw new Error(
      `peers: there is no Chromium at ${JSON.stringify(path)}; name one in ZIGGURAT_CHROMIUM, or take --only native`,
    );
  return path;
}

/** The model with its Q4_1 tensors in Q8_0, made once. */
async function quantised(model: string | undefined, folder: string): Promise<string> {
  const models = process.env.ZIGGURAT_MODELS;
  const path = model ?? (models ? join(models, "smollm2-135m-instruct-q4_1.gguf") : undefined);
  if (path === undefined || !existsSync(path)) {
    throw new Error(
      `peers: there is no ${path ?? "model"}; name SmolLM2-135M's GGUF file with --model, or its folder in ZIGGURAT_MODELS`,
    );
  }
  const { size, mtimeMs } = await stat(path);
  const made = join(folder, `${basename(path, ".gguf")}-${size}-${Math.floor(mtimeMs)}-as-q8_0.gguf`);
  if (existsSync(made)) return made;
  const count = await toQ8(path, made);
  if (count === 0) return path;
  console.error(`${made}: ${count} tensors were rewritten from Q4_1 to Q8_0`);
  return made;
}

/** Enough tokens of a text, which is repeated if it is short, and the text of those that pages read. */
async function tokenIds(model: string, text: string): Promise<{ ids: number[]; texts: [string, string] }> {
  const tokenizer = await (await openModel(file(model))).tokenizer();
  if (!tokenizer) throw new Error(`peers: ${model} has no tokenizer`);
  const ids = tokenizer.encode((await readFile(text, "utf8")).slice(0, 100_000));
  if (ids.length === 0) throw new Error(`peers: ${text} is empty`);
  const all = [...ids];
  while (all.length < fillTokens) all.push(...ids);
  const start = (count: number) => tokenizer.decode(all.slice(0, count));
  return { ids: all.slice(0, fillTokens), texts: [start(readTokens), start(pageTokens)] };
}
