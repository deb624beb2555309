import { readdirSync, readFileSync } from "node:fs";
import { rowsOf, selection } from "@ziggurat/bench-kit/fixtures";
import { PolicyError } from "@ziggurat/policy";
import { reference } from "@ziggurat/tensor";
import { runPolicy } from "@ziggurat/testing";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { keyDiff } from "../src/new-policy.js";

const sources = new URL("../src/", import.meta.url);
const codeOf = (file: string) => readFileSync(new URL(file, sources), "utf8");

test.each(readdirSync(sources))("%s is short", (file) => {
  expect(codeOf(file).trimEnd().split("\n").length).toBeLessThan(file === "new-policy.ts" ? 40 : 30);
});

test("the README's code is the quick start", () => {
  const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
  expect(readme.match(/```ts\n([\s\S]*?)```/)![1]).toBe(codeOf("quick-start.ts"));
});

test("KeyDiff keeps the rows of the reference vectors", async () => {
  const { inputs, entry, kvHead } = selection();
  const { layer, ...shape } = kvHead;
  const expected = entry("kvpress_keydiff_cr0.75").heads.map((head) => rowsOf(head, inputs.L, 0));
  const policy = keyDiff({ keep: 50, recent: 0 });
  const { prefill } = await runPolicy({ policy, backend: reference(), ...shape, layers: [layer] });
  expect(prefill.kept).toEqual([expected]);
  expect(expected.every((rows) => rows.length === 50 && rows.length < inputs.L)).toBe(true);
  expect(() => keyDiff({ keep: 0.5 })).toThrow(PolicyError);
});

describe("what they print", () => {
  let printed = "";
  beforeEach(() => {
    printed = "";
    const print = (text: unknown) => {
      printed += String(text);
      return true;
    };
    vi.spyOn(console, "log").mockImplementation((...parts) => void print(`${parts.join(" ")}\n`));
    vi.spyOn(process.stdout, "write").mockImplementation(print);
  });
  afterEach(() => void vi.restoreAllMocks());

  /** Rows of each layer, from "220,220 208,208 ... rows"; both KV heads have as many. */
  const layersOf = (line: string) => [...line.matchAll(/\b(\d+),\1\b/g)].map(([, rows]) => Number(rows));
  const falls = (rows: readonly number[]) => rows.every((n, layer) => layer === 0 || n < rows[layer - 1]!);
  const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);

  test("quick start", async () => {
    await import("../src/quick-start.js");
    expect(printed).toMatch(/^Lisbon from .* rows\n$/);
    const rows = layersOf(printed);
    expect(rows).toHaveLength(16);
    expect(falls(rows)).toBe(true);
    expect(sum(rows)).toBe(16 * 128);
  });

  test("composing a policy", async () => {
    await import("../src/compose.js");
    const [steep, gentle, rest] = printed.split("\n");
    expect(rest).toBe("");
    expect(steep).toMatch(/^mixture: gardener from /);
    expect(gentle).toMatch(/^gentle slope: gardener from /);
    for (const line of [steep!, gentle!]) {
      expect(falls(layersOf(line))).toBe(true);
      expect(sum(layersOf(line))).toBe(16 * 96);
    }
    expect(layersOf(gentle!)[0]).toBeLessThan(layersOf(steep!)[0]!);
  });

  test("two sequences with two policies", async () => {
    await import("../src/batch.js");
    const lines = printed.trimEnd().split("\n");
    expect(lines.slice(-2)).toEqual([
      "snapkv: Lisbon from 96,96 rows a layer",
      "h2o: gardener from 160,160 rows a layer",
    ]);
    const written = (sequence: number) =>
      lines.flatMap((line) => line.match(new RegExp(`^${sequence} writes (.*)`))?.[1] ?? []).join("");
    expect([written(0), written(1)]).toEqual(["Lisbon", "gardener"]);
  });

  test("a chat that never stops", { timeout: 300_000 }, async () => {
    await import("../src/endless-chat.js");
    const turns = [...printed.matchAll(/^(\d+) tokens read, (\d+) bytes held: (.*)$/gm)];
    expect(turns.length).toBeGreaterThan(10);
    expect(Number(turns.at(-1)![1])).toBeGreaterThan(16_384);
    expect(turns.filter(([, , bytes]) => Number(bytes) > 4_000_000)).toEqual([]);
    expect(turns.map(([, , , answer]) => answer)).toEqual(turns.map(() => "Lisbon"));
  });
});
