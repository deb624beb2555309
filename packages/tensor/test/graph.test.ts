import { ShapeError } from "@ziggurat/tensor";
import { input, inputsOf, type Node, needsTextOrder } from "@ziggurat/tensor/expression";
import { describe, expect, it } from "vitest";

// Two KV heads, each shared by two query heads; five rows.
const counts = { heads: 2, kvHeads: 2, group: 2 };
const rows = input("rows", [2, 5], counts);
const mass = input("mass", [4, 5], counts);
const keys = input("keys", [2, 5, 8], counts);

describe("shapes", () => {
  it("follow the operations", () => {
    expect(keys.norm("size").shape).toEqual([2, 5]);
    expect(keys.mean("rows").shape).toEqual([2, 1, 8]);
    expect(keys.mean("rows").norm("size").shape).toEqual([2, 1]);
    expect(keys.mul(keys.mean("rows")).sum("size").shape).toEqual([2, 5]);
    expect(rows.max("rows").add(rows).shape).toEqual([2, 5]);
    expect(mass.group("mean").shape).toEqual([2, 5]);
    expect(rows.lt(3).where(Number.POSITIVE_INFINITY, rows.max("rows")).shape).toEqual([2, 5]);
    expect(rows.avgPool(5).maxPool(1).hash(7).shape).toEqual([2, 5]);
  });

  it("broadcast rows against keys, whichever comes first", () => {
    const shapes = [
      rows.mul(keys),
      keys.mul(rows),
      rows.lt(3).where(keys, 0),
      keys.lt(3).where(rows, rows.max("rows")),
    ];
    for (const { shape, axes } of shapes) {
      expect(shape).toEqual([2, 5, 8]);
      expect(axes).toEqual(["heads", "rows", "size"]);
    }
  });

  const bad: readonly (readonly [string, () => Node, RegExp])[] = [
    ["adding other head counts", () => rows.add(mass), /\[2, 5\] and \[4, 5\] do not broadcast/],
    ["adding keys to other heads", () => mass.add(keys), /\[4, 5\] and \[2, 5, 8\] do not broadcast/],
    ["adding other sizes", () => keys.add(input("x", [2, 5, 4], counts)), /\[2, 5, 8\] and \[2, 5, 4\] do not/],
    ["choosing between other shapes", () => rows.lt(1).where(mass, 0), /\[2, 5\] and \[4, 5\]/],
    ["reducing an axis that is not there", () => rows.sum("size"), /^sum\("size"\): \[2, 5\] has no such axis/],
    ["reducing heads", () => keys.mean("heads" as "rows"), /^mean\("heads"\): \[2, 5, 8\] has .* it has rows or size$/],
    ["reducing an axis by number", () => keys.norm(2 as unknown as "size"), /^norm\(2\): \[2, 5, 8\] has no such axis/],
    ["a pool over an even kernel", () => keys.avgPool(2), /avgPool: kernel is 2; it must be an odd whole number/],
    ["query heads to query heads", () => mass.ungroup(), /ungroup: needs \[2 KV heads, rows, ...\], not \[4, 5\]/],
    [
      "keys across heads",
      () => keys.acrossHeads("sum"),
      /acrossHeads: needs \[2 heads, rows\] or \[4 query heads, rows\]/,
    ],
    ["queries of keys", () => keys.sum("queries"), /sum\("queries"\): \[2, 5, 8\] has no such axis to reduce/],
    ["even kernels", () => rows.maxPool(4), /maxPool: kernel is 4; it must be an odd whole number/],
    ["no kernel", () => rows.avgPool(0), /kernel is 0/],
    ["fractional kernels", () => rows.avgPool(1.5), /kernel is 1.5/],
    ["kernels that are no number", () => rows.avgPool(Number.NaN), /kernel is NaN/],
    ["inputs of one axis", () => input("x", [5], counts), /input "x": \[5\] is neither \[heads, rows\] nor/],
    ["grouping KV heads", () => rows.group("sum"), /group: needs \[4 query heads, rows\], not \[2, 5\]/],
    ["seeds below 0", () => rows.hash(-1), /seed is -1/],
    ["seeds beyond 31 bits", () => rows.hash(2 ** 31), /seed is 2147483648/],
    ["hashing keys", () => keys.hash(1), /hash: needs \[heads, rows\]/],
    ["tensors from elsewhere", () => rows.add({ shape: [2, 5] } as unknown as Node), /made from the policy's view/],
  ];
  it.each(bad)("refuse %s", (_, build, message) => {
    expect(build).toThrow(ShapeError);
    expect(build).toThrow(message);
  });
});

describe("expressions", () => {
  it("know what they read", () => {
    expect(inputsOf([rows.add(1), keys.norm("size")])).toEqual(new Set(["rows", "keys"]));
    expect(inputsOf([])).toEqual(new Set());
  });

  it("know whether neighbours in the text matter", () => {
    expect(needsTextOrder([rows.add(1).sum("rows")])).toBe(false);
    expect(needsTextOrder([rows, mass.group("max").avgPool(3).neg()])).toBe(true);
    expect(needsTextOrder([rows.maxPool(3)])).toBe(true);
    // A kernel of 1 uses no neighbour.
    expect(needsTextOrder([rows.avgPool(1)])).toBe(false);
  });
});
