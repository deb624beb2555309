import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const textOf = (path: string) => (existsSync(path) ? readFileSync(path, "utf8") : undefined);

/**
 * Tokens per second of other programs at the same shape, from the results of a run on the same machine: base.json of
 * hf.py, and the output of llama-bench and llama-batched-bench. Empty if there are no results.
 */
export function peersIn(folder: string): Readonly<Record<string, Readonly<Record<string, number>>>> {
  const found: Record<string, Record<string, number>> = {};
  const add = (what: string, peer: string, speed: unknown) => {
    if (typeof speed === "number") found[what] = { ...found[what], [peer]: speed };
  };
  const hf = JSON.parse(textOf(join(folder, "base.json")) ?? "{}") as Record<string, unknown>;
  for (const [what, rows, sequences] of [
    ["decode 12 %", 3932, 1],
    ["decode full", 32768, 1],
    ["batch 64", 3932, 64],
  ] as const) {
    for (const kind of ["eager", "compiled"])
      add(what, `transformers ${kind}`, hf[`hf_${kind}_decode_${rows}_B${sequences}`]);
  }
  if (typeof hf.hf_prefill_32k_s === "number") add("prefill", "transformers", 32768 / hf.hf_prefill_32k_s);
  type Row = { n_depth?: number; avg_ts?: number; speed_tg?: number };
  for (const { n_depth, avg_ts } of JSON.parse(textOf(join(folder, "llama-decode.json")) || "[]") as Row[]) {
    add(n_depth === 3932 ? "decode 12 %" : "decode full", "llama.cpp", avg_ts);
  }
  for (const { avg_ts } of JSON.parse(textOf(join(folder, "llama-prefill.json")) || "[]") as Row[])
    add("prefill", "llama.cpp", avg_ts);
  for (const line of (textOf(join(folder, "llama-batch.jsonl")) ?? "")
    .split("\n")
    .filter((line) => line.startsWith("{"))) {
    add("batch 64", "llama.cpp", (JSON.parse(line) as Row).speed_tg);
  }
  return found;
}
