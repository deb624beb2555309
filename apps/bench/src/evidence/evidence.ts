import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { machine } from "@ziggurat/bench-kit";
import { material } from "@ziggurat/cli/haystack";
import { cpu } from "@ziggurat/cpu";
import {
  type Cell,
  canonicalJson,
  cellId,
  EvaluationError,
  hashOf,
  html,
  itemKey,
  markdown,
  RecordWriter,
  readRecords,
  tables,
} from "@ziggurat/eval";
import { pebble } from "@ziggurat/pebble";
import { loadModel, type Model } from "@ziggurat/runtime";
import { type Group, runItem } from "./item.js";
import { checkPlan, expand, type Plan } from "./plan.js";

/** What a record file's header holds, so that the file alone makes the report. */
interface Content {
  readonly plan: Plan;
  readonly provenance: Readonly<Record<string, string>>;
  readonly machine: string;
  readonly cells: readonly (readonly [string, Cell])[];
}

export interface EvidenceOptions {
  /** A plan's file. */
  readonly plan: string;
  /** The folder of `records.jsonl`, `report.html` and `report.md`. */
  readonly out: string;
  readonly threads: number;
}

/**
 * Runs a plan on Pebble, item by item, and writes its report. A run that was killed goes on where it stopped. Rejects
 * with an `EvaluationError` or a `PolicyError` if the plan is invalid, before anything is run.
 */
export async function evidence({ plan: file, out, threads }: EvidenceOptions): Promise<void> {
  const plan = checkPlan(await readJson(file), file);
  const backend = await cpu({ threads });
  try {
    const model = await loadModel(pebble(), { backend });
    const provenance = { "model.safetensors": await fileHash("model.safetensors"), threads: String(threads) };
    const expanded = expand(plan, { model: "pebble", rowDType: model.rowDType }).map((planned) => {
      return { ...planned, id: cellId(planned.cell, provenance) };
    });
    const cells = expanded.map(({ id, cell }) => [id, cell] as const);
    const content: Content = { plan, provenance, machine: machine(), cells };
    const hash = hashOf({ plan, provenance });
    await mkdir(out, { recursive: true });
    const records = join(out, "records.jsonl");
    const writer = await RecordWriter.open(records, { kind: "header", version: 1, plan: hash, content });
    try {
      await runAll(model, expanded, plan.items, writer);
    } finally {
      await writer.close();
    }
  } finally {
    await backend.dispose();
  }
  await report(out);
}

async function runAll(model: Model, expanded: Group, items: number, writer: RecordWriter): Promise<void> {
  const source = await material();
  const groups = new Map<string, Group>();
  for (const planned of expanded) {
    const { task, tokens, question, seed } = planned.cell;
    const key = canonicalJson({ task, tokens, question, seed });
    groups.set(key, [...(groups.get(key) ?? []), planned]);
  }
  for (const [name, group] of groups) {
    for (let item = 0; item < items; item++) {
      const missing = group.filter(({ id }) => !writer.items.has(itemKey({ cell: id, item })));
      if (missing.length === 0) continue;
      for await (const record of runItem(model, source, missing, item)) await writer.append(record);
      if ((item + 1) % 10 === 0) console.error(`${name}: ${item + 1} of ${items}`);
    }
  }
}

/** Writes the report of a folder's records; nothing else is read. */
export async function report(out: string): Promise<void> {
  const { header, items } = await readRecords(join(out, "records.jsonl"));
  const { plan, provenance, machine, cells: pairs } = header.content as Content;
  const cells = new Map(pairs);
  const { title, baseline } = plan;
  const made = tables(cells, items, baseline === undefined ? {} : { baseline });
  const settings = { plan, provenance, machine };
  await writeFile(join(out, "report.html"), html({ title, tables: made, cells, items, settings }));
  await writeFile(join(out, "report.md"), markdown(made));
  console.log(markdown(made));
}

async function readJson(file: string): Promise<unknown> {
  const text = await readFile(file, "utf8");
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new EvaluationError(`${file} is no JSON: ${(error as Error).message}`);
  }
}

async function fileHash(name: string): Promise<string> {
  const file = (await pebble().open(name))!;
  return createHash("sha256")
    .update(await file.read(0, file.size))
    .digest("hex");
}
