import { randomUniform } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";
import "./matchers.js";
import { runOp } from "./run-op.js";

// The specification itself: answers worked out by hand.

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

describe("ops on rows", () => {
  const sizes = {
    sequences: 2,
    tokens: 2,
    queryHeads: 1,
    kvHeads: 1,
    headSize: 1,
    arenaRows: 6,
    planes: 3,
    kv: "f32" as const,
  };

  it("append puts tokens after their head's rows, unless the sequence has ended", async () => {
    const given = { qkv: [0, 1, 10, 0, 2, 20, 0, 3, 30, 0, 4, 40], offset: [3, 0], length: [1, 1], seen: [70, 80] };
    const blank = { keys: [9, 9, 9, 9, 9, 9], values: [8, 8, 8, 8, 8, 8], cells: new Array<number>(18).fill(7) };
    const all = { keys: true, values: true, cells: true };
    const both = await runOp("append", { ...sizes, ...all, ranks: true }, { ...given, ...blank, ended: [0, 0] });
    expect(both.keys).toEqual([9, 3, 4, 9, 1, 2]);
    expect(both.values).toEqual([8, 30, 40, 8, 10, 20]);
    expect(both.cells).toEqual([7, 80, 81, 7, 70, 71, 7, 1, 2, 7, 1, 2, 7, 0, 0, 7, 0, 0]);
    const one = await runOp("append", { ...sizes, ...all }, { ...given, ...blank, ended: [1, 0] });
    expect(one.keys).toEqual([9, 3, 4, 9, 9, 9]);
    expect(one.cells).toEqual([7, 80, 81, 7, 7, 7, 7, 0, 0, 7, 7, 7, 7, 0, 0, 7, 7, 7]);
  });

  it("advance counts for sequences that go on, layer by layer", async () => {
    const spec = { repeat: 2, sequences: 2, width: 2, by: 5 };
    expect(await runOp("advance", spec, { counter: [1, 2, 3, 4, 5, 6, 7, 8], ended: [0, 1] })).toEqual({
      counter: [6, 7, 3, 4, 10, 11, 7, 8],
    });
  });

  it("topk keeps the greatest; ties go to the lower position; rows come in ascending order", async () => {
    // Head 0: rows at positions 50, 10, 40, 20, 30; head 1 starts at row 5.
    const spec = { heads: 2, capacity: 5, most: 3, arenaRows: 8 };
    const places = { positions: [50, 10, 40, 20, 30, 3, 2, 1], offset: [0, 5], length: [5, 3] };
    const tied = await runOp("topk", spec, { ...places, scores: [1, 2, 1, 1, 1, 0, 0, 0, 9, 9], keep: [3, 1] });
    expect(tied).toEqual({ rows: [1, 3, 4, 2, 0, 0], count: [3, 1] });
    const odd = await runOp("topk", spec, {
      ...places,
      scores: [nan, -inf, nan, inf, nan, nan, nan, nan, 9, 9],
      keep: [3, 2],
    });
    expect(odd).toEqual({ rows: [1, 3, 4, 1, 2, 0], count: [3, 2] });
    const bounds = await runOp("topk", spec, { ...places, scores: [5, 4, 3, 2, 1, 1, 2, 3, 9, 9], keep: [100, 0] });
    expect(bounds).toEqual({ rows: [0, 1, 2, 0, 0, 0], count: [3, 0] });
    const zeros = await runOp("topk", spec, { ...places, scores: [0, -0, -1, -1, -1, 0, 0, 0, 9, 9], keep: [1, 3] });
    expect(zeros).toEqual({ rows: [1, 0, 0, 0, 1, 2], count: [1, 3] });
  });

  it("order sorts rows by position", async () => {
    const spec = { heads: 2, capacity: 3, arenaRows: 5 };
    const { rows, count } = await runOp("order", spec, {
      positions: [30, 10, 20, 7, 5],
      offset: [0, 3],
      length: [3, 2],
    });
    expect(rows).toEqual([1, 2, 0, 1, 0, 0]);
    expect(count).toEqual([3, 2]);
  });

  it("gather copies rows with their cells, renumbers ranks and rotates keys", async () => {
    const spec = { heads: 2, most: 2, headSize: 2, arenaRows: 4, targetRows: 3, planes: 2, kv: "f32" as const };
    const given = {
      keys: [1, 2, 3, 4, 5, 6, 7, 8],
      offset: [2, 0],
      rows: [1, 0, 1, 9],
      count: [2, 1],
      targetOffset: [1, 0],
    };
    const more = { values: [10, 20, 30, 40, 50, 60, 70, 80], cells: [100, 101, 102, 103, 5, 6, 7, 8] };
    const moved = await runOp(
      "gather",
      { ...spec, values: true },
      {
        ...given,
        ...more,
        targetKeys: [0, 0, 0, 0, 0, 0],
        targetValues: [0, 0, 0, 0, 0, 0],
        targetCells: [0, 0, 0, 0, 0, 0],
      },
    );
    expect(moved).toEqual({
      targetKeys: [3, 4, 7, 8, 5, 6],
      targetValues: [30, 40, 70, 80, 50, 60],
      targetCells: [101, 103, 102, 6, 8, 7],
      targetLength: [2, 1],
    });
    const ranked = await runOp(
      "gather",
      { ...spec, values: true, ranks: true },
      {
        ...given,
        ...more,
        targetKeys: [0, 0, 0, 0, 0, 0],
        targetValues: [0, 0, 0, 0, 0, 0],
        targetCells: [0, 0, 0, 0, 0, 0],
      },
    );
    expect(ranked.targetCells).toEqual([101, 103, 102, 0, 0, 1]);
    // Place 1 is a quarter turn.
    const turned = await runOp(
      "gather",
      { ...spec, rotate: true, rotary: 2, tableRows: 2 },
      { ...given, table: [1, 0, 0, 1], targetKeys: [0, 0, 0, 0, 0, 0] },
    );
    expect(turned).toEqual({ targetKeys: [3, 4, 7, 8, -6, 5], targetLength: [2, 1] });
  });

  describe("evict", () => {
    const spec = {
      sequences: 1,
      kvHeads: 1,
      capacity: 6,
      most: 4,
      headSize: 1,
      arenaRows: 7,
      planes: 2,
      kv: "f32" as const,
    };
    // Rows 0 to 5 of the head lie from arena row 1 on; 1, 4, 5 survive.
    const given = {
      keys: [99, 0, 1, 2, 3, 4, 5],
      values: [99, 0, 10, 20, 30, 40, 50],
      offset: [1],
      length: [6],
      rows: [1, 4, 5, 77],
      count: [3],
      ended: [0],
    };
    const cells = [99, 100, 101, 102, 103, 104, 105, 99, 3, 0, 5, 1, 4, 2];

    it("moves survivors from beyond into the holes, in order", async () => {
      const { keys, values, cells: moved, length } = await runOp("evict", spec, { ...given, cells });
      expect(keys).toEqual([99, 4, 1, 5, 3, 4, 5]);
      expect(values).toEqual([99, 40, 10, 50, 30, 40, 50]);
      expect(moved).toEqual([99, 104, 101, 105, 103, 104, 105, 99, 4, 0, 2, 1, 4, 2]);
      expect(length).toEqual([3]);
    });

    it("keeps the order of rows where asked", async () => {
      const { keys, cells: moved } = await runOp("evict", { ...spec, ordered: true }, { ...given, cells });
      expect(keys).toEqual([99, 1, 4, 5, 3, 4, 5]);
      expect(moved!.slice(0, 7)).toEqual([99, 101, 104, 105, 103, 104, 105]);
    });

    it("lowers ranks by the evicted rows that ranked lower", async () => {
      // Ranks of the evicted: 3, 5, 1. Survivors 1, 4, 5 ranked 0, 4, 2: now 0, 2, 1.
      const holes = await runOp("evict", { ...spec, ranks: true }, { ...given, cells });
      expect(holes.cells!.slice(8, 11)).toEqual([2, 0, 1]);
      const ordered = await runOp("evict", { ...spec, ranks: true, ordered: true }, { ...given, cells });
      expect(ordered.cells!.slice(8, 11)).toEqual([0, 2, 1]);
    });

    it("leaves heads that are short of their count, and sequences that have ended", async () => {
      const same = { keys: given.keys, values: given.values, cells, length: [6] };
      expect(
        await runOp("evict", { ...spec, most: 6 }, { ...given, cells, rows: [0, 1, 2, 3, 4, 5], count: [6] }),
      ).toEqual(same);
      expect(await runOp("evict", spec, { ...given, cells, ended: [1] })).toEqual(same);
    });
  });
});

describe("tensor expressions", () => {
  it("load spreads ragged rows over a grid, zeros beyond; rotate turns by rank", async () => {
    const given = { source: [1, 2, 3, 4, 5, 6], offset: [1, 0], length: [2, 1] };
    const spec = { heads: 2, capacity: 2, width: 2, arenaRows: 3, source: "f32" as const };
    expect((await runOp("load", spec, given)).out).toEqual([3, 4, 5, 6, 1, 2, 0, 0]);
    const turned = await runOp(
      "load",
      { ...spec, rotate: true, rotary: 2, tableRows: 2 },
      { ...given, ranks: [0, 1, 5], table: [1, 0, 0, 1] },
    );
    expect(turned.out).toEqual([-4, 3, -6, 5, 1, 2, 0, 0]);
    const words = await runOp(
      "load",
      { ...spec, width: 1, source: "i32" },
      { source: [-7, 8, 9], offset: [1, 0], length: [2, 1] },
    );
    expect(words.out).toEqual([8, 9, -7, 0]);
  });

  it("store puts a grid back into ragged rows", async () => {
    const given = {
      x: [1, 2, 3, 4, 5, 6],
      offset: [2, 0, 4],
      length: [2, 1, 1],
      target: [0, 0, 0, 0, 0],
      ended: [0, 0, 1],
    };
    expect(await runOp("store", { sequences: 3, kvHeads: 1, capacity: 2, arenaRows: 5 }, given)).toEqual({
      target: [3, 0, 1, 2, 0],
    });
  });

  it("unary, one kind at a time", async () => {
    const of = async (kind: "neg" | "abs" | "exp" | "log" | "sqrt" | "not", x: number[]) =>
      (await runOp("unary", { elements: x.length, x: "f32", kind }, { x })).out;
    expect(await of("neg", [1, -2])).toEqual([-1, 2]);
    expect(await of("abs", [1, -2])).toEqual([1, 2]);
    expect(await of("exp", [0, 1])).toEqual([1, Math.fround(Math.E)]);
    expect(await of("log", [1, 0])).toEqual([0, -inf]);
    expect(await of("sqrt", [9, 0.25])).toEqual([3, 0.5]);
    expect(await of("not", [0, -3])).toEqual([1, 0]);
    expect((await runOp("unary", { elements: 2, x: "i32", kind: "float" }, { x: [-1, 5] })).out).toEqual([-1, 5]);
  });

  it("binary broadcasts axes of 1 and takes literals", async () => {
    const wide = { d0: 2, d1: 2, d2: 1, a0: 2, a1: 2, a2: 1, b0: 1, b1: 2, b2: 1 };
    const of = async (kind: "sub" | "max" | "le" | "and" | "or" | "eq") =>
      (await runOp("binary", { ...wide, kind, value: 0 }, { a: [1, 0, 3, 4], b: [1, 4] })).out;
    expect(await of("sub")).toEqual([0, -4, 2, 0]);
    expect(await of("max")).toEqual([1, 4, 3, 4]);
    expect(await of("le")).toEqual([1, 1, 0, 1]);
    expect(await of("eq")).toEqual([1, 0, 0, 1]);
    expect(await of("and")).toEqual([1, 0, 1, 1]);
    expect(await of("or")).toEqual([1, 1, 1, 1]);
    const outer = { d0: 2, d1: 3, d2: 1, a0: 2, a1: 1, a2: 1, b0: 1, b1: 3, b2: 1 };
    expect((await runOp("binary", { ...outer, kind: "mul", value: 0 }, { a: [2, 3], b: [1, 10, 100] })).out).toEqual([
      2, 20, 200, 3, 30, 300,
    ]);
    const literal = { ...wide, b1: 1, kind: "div" as const, literal: true, value: 2 };
    expect((await runOp("binary", literal, { a: [1, 0, 3, 4] })).out).toEqual([0.5, 0, 1.5, 2]);
  });

  it("where chooses by the mask", async () => {
    const spec = {
      d0: 1,
      d1: 3,
      d2: 1,
      m0: 1,
      m1: 3,
      m2: 1,
      a0: 1,
      a1: 1,
      a2: 1,
      b0: 1,
      b1: 3,
      b2: 1,
      valueA: inf,
      valueB: 0,
    };
    expect((await runOp("where", spec, { mask: [1, 0, -2], a: [9], b: [1, 2, 3] })).out).toEqual([9, 2, 9]);
    expect((await runOp("where", { ...spec, literalA: true }, { mask: [1, 0, 0], b: [1, 2, 3] })).out).toEqual([
      inf,
      2,
      3,
    ]);
  });

  it("reduce runs along any axis, over the real rows where ragged", async () => {
    const x = [1, 2, 3, 4, 5, 6, 7, 8];
    const cube = { d0: 2, d1: 2, d2: 2, share: 1 };
    expect((await runOp("reduce", { ...cube, kind: "sum" }, { x })).out).toEqual([6, 8, 10, 12]);
    expect((await runOp("reduce", { ...cube, axis: 1, kind: "mean" }, { x })).out).toEqual([2, 3, 6, 7]);
    expect((await runOp("reduce", { ...cube, axis: 2, kind: "max" }, { x })).out).toEqual([2, 4, 6, 8]);
    expect(
      (await runOp("reduce", { d0: 1, d1: 2, d2: 1, share: 1, axis: 1, kind: "norm" }, { x: [3, 4] })).out,
    ).toEqual([5]);
    // Four query heads, two a KV head; the second KV head has no rows.
    const ragged = { d0: 4, d1: 2, d2: 1, share: 2, axis: 1, ragged: true };
    const of = async (kind: "sum" | "mean" | "max" | "min" | "norm") =>
      (await runOp("reduce", { ...ragged, kind }, { x, length: [1, 0] })).out;
    expect(await of("sum")).toEqual([1, 3, 0, 0]);
    expect(await of("mean")).toEqual([1, 3, 0, 0]);
    expect(await of("max")).toEqual([1, 3, -inf, -inf]);
    expect(await of("min")).toEqual([1, 3, inf, inf]);
    expect(await of("norm")).toEqual([1, 3, 0, 0]);
  });

  it("pool: averages count zeros past the ends, maxima leave them out", async () => {
    const x = [-3, -6, -9, 100];
    const sizes = { heads: 1, capacity: 4, size: 1, kernel: 3, share: 1 };
    expect((await runOp("pool", { ...sizes, kind: "avg" }, { x, length: [3] })).out).toEqual([-3, -6, -5, 0]);
    expect((await runOp("pool", { ...sizes, kind: "max" }, { x, length: [3] })).out).toEqual([-3, -3, -6, 0]);
  });

  it("hash is the randomUniform of seed + head and the position", async () => {
    const { out } = await runOp("hash", { heads: 3, capacity: 1, kvHeads: 2, seed: 40 }, { positions: [7, 7, 7] });
    expect(out).toEqual([randomUniform(40, 7), randomUniform(41, 7), randomUniform(40, 7)]);
  });

  it("fill and copy", async () => {
    expect((await runOp("fill", { words: 2, dtype: "i32", value: -3 }, {})).out).toEqual([-3, -3]);
    expect((await runOp("fill", { words: 2, dtype: "f32", value: 0.5 }, {})).out).toEqual([0.5, 0.5]);
    expect((await runOp("copy", { words: 2 }, { x: [0x7f800001, -1] })).out).toEqual([0x7f800001, -1]);
  });
});
