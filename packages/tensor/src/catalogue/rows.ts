import { rowDTypes } from "../dtype.js";
import { arena, cells, grid, heads, lines, op, read, sequenceHeads, sequences, table, update, write } from "./rule.js";

/** Ops that choose rows and move them. */
export const rows = {
  topk: op({
    meaning: lines(
      "rows[h] = the count[h] = min(keep[h], length[h], most) rows of the greatest scores.",
      "They are row numbers within the head, ascending.",
      "Ties go to the lower position; `positions` is plane 0 of the arena.",
      "NaN is below everything, -Infinity included.",
    ),
    dims: ["heads", "capacity", "most", "arenaRows"],
    dtypes: {},
    attributes: {},
    operands: {
      scores: read("f32", grid),
      positions: read("i32", (d) => [d.arenaRows!]),
      offset: read("i32", heads),
      length: read("i32", heads),
      keep: read("i32", heads),
      rows: write("i32", (d) => [d.heads!, d.most!]),
      count: write("i32", heads),
    },
    tolerance: { i32: 0 },
  }),

  order: op({
    meaning: lines(
      "rows[h] = all length[h] row numbers of the head in ascending position.",
      "count[h] = length[h].",
      "No two rows of a head share a position.",
    ),
    dims: ["heads", "capacity", "arenaRows"],
    dtypes: {},
    attributes: {},
    operands: {
      positions: read("i32", (d) => [d.arenaRows!]),
      offset: read("i32", heads),
      length: read("i32", heads),
      rows: write("i32", grid),
      count: write("i32", heads),
    },
    tolerance: { i32: 0 },
  }),

  gather: op({
    meaning: lines(
      "Target row targetOffset[h] + i = source row offset[h] + rows[h, i], for i < count[h].",
      "Keys are copied, and with `values` values and all planes of cells.",
      "With `ranks`, plane 1 becomes i; without `values`, `ranks` does nothing.",
      "With `rotate`, the key is rotated to position i.",
      "targetLength[h] = count[h].",
      "Source and target are different buffers.",
    ),
    dims: ["heads", "most", "headSize", "arenaRows", "targetRows", "planes"],
    options: ["rotary", "tableRows"],
    dtypes: { kv: rowDTypes },
    attributes: { values: "boolean", ranks: "boolean", rotate: "boolean" },
    operands: {
      keys: read("kv", arena),
      values: read("kv", arena, "values"),
      cells: read("i32", cells, "values"),
      offset: read("i32", heads),
      rows: read("i32", (d) => [d.heads!, d.most!]),
      count: read("i32", heads),
      table: read("f32", table, "rotate"),
      targetKeys: update("kv", (d) => [d.targetRows!, d.headSize!]),
      targetValues: update("kv", (d) => [d.targetRows!, d.headSize!], "values"),
      targetCells: update("i32", (d) => [d.planes!, d.targetRows!], "values"),
      targetOffset: read("i32", heads),
      targetLength: write("i32", heads),
    },
    tolerance: { f32: 1e-5, f16: 1e-3, bf16: 8e-3 },
  }),

  evict: op({
    meaning: lines(
      "Leaves each head the count[h] rows named by rows[h] (ascending), in its first count[h] places.",
      "With `ordered`, they are in their order.",
      "Otherwise the survivors beyond count[h] move, in order, into the holes below count[h], in order.",
      "K, V and every plane move.",
      "With `ranks`, plane 1 falls by the number of evicted rows of lower rank.",
      "length[h] = count[h].",
      "Rows from count[h] on stay as they are.",
      "Heads with count[h] >= length[h] and sequences that have ended stay as they are.",
    ),
    dims: ["sequences", "kvHeads", "capacity", "most", "headSize", "arenaRows", "planes"],
    dtypes: { kv: rowDTypes },
    attributes: { ordered: "boolean", ranks: "boolean" },
    operands: {
      keys: update("kv", arena),
      values: update("kv", arena),
      cells: update("i32", cells),
      offset: read("i32", sequenceHeads),
      length: update("i32", sequenceHeads),
      rows: read("i32", (d) => [d.sequences! * d.kvHeads!, d.most!]),
      count: read("i32", sequenceHeads),
      ended: read("i32", sequences),
    },
    tolerance: { f32: 0, f16: 0, bf16: 0 },
  }),
} as const;
