import { rowDTypes } from "../dtype.js";
import {
  arena,
  cells,
  grouped,
  lines,
  op,
  qkv,
  type Requirement,
  ranked,
  read,
  rotated,
  sequenceHeads,
  sequences,
  table,
  update,
  write,
} from "./rule.js";

/** The queries from `from` on have places in `observed`. */
const observedFit: Requirement = ({ first = 0, from = 0, tokens, queries }) =>
  Number(first) + Number(tokens) - Number(from) <= Number(queries)
    ? undefined
    : `queries is ${queries}; it must be at least first + tokens - from, ${Number(first) + Number(tokens) - Number(from)}`;

/** Ops of attention over rows whose counts differ by head. */
export const attention = {
  append: op({
    meaning: lines(
      "Token i of (sequence, KV head) h is written to row offset[h] + length[h] + i.",
      "With `keys` its key is, with `values` its value, with `cells` its cells.",
      "Its position is seen[h] + i, its rank with `ranks` is length[h] + i, other planes are 0.",
      "Lengths stay.",
      "A sequence that has ended appends nothing.",
    ),
    dims: ["sequences", "tokens", "queryHeads", "kvHeads", "headSize", "arenaRows", "planes"],
    dtypes: { kv: rowDTypes },
    attributes: { keys: "boolean", values: "boolean", cells: "boolean", ranks: "boolean" },
    requires: [(spec) => (spec.cells === true ? ranked("ranks")(spec) : undefined)],
    operands: {
      qkv: read("f32", qkv),
      keys: update("kv", arena, "keys"),
      values: update("kv", arena, "values"),
      cells: update("i32", cells, "cells"),
      offset: read("i32", sequenceHeads),
      length: read("i32", sequenceHeads),
      seen: read("i32", sequenceHeads),
      ended: read("i32", sequences),
    },
    tolerance: { f32: 0, f16: 1e-3, bf16: 8e-3 },
  }),

  attention: op({
    meaning: lines(
      "Prefill of one sequence whose n newest rows are already appended, with length not yet advanced.",
      "Query i sees rows j <= length[h] + i; with window > 0, only those with j > length[h] + i - window.",
      "Logits are scale x q.k; with softcap > 0 they become softcap x tanh(logits / softcap).",
      "out[i, query head] = softmax(logits) . values.",
      "lse[query head, i] = log(sum(exp(logits))).",
    ),
    dims: ["tokens", "queryHeads", "kvHeads", "headSize", "arenaRows"],
    options: ["window"],
    dtypes: { kv: rowDTypes },
    attributes: { scale: "number", softcap: "number" },
    requires: [grouped],
    operands: {
      qkv: read("f32", (d) => [d.tokens!, (d.queryHeads! + 2 * d.kvHeads!) * d.headSize!]),
      keys: read("kv", arena),
      values: read("kv", arena),
      offset: read("i32", (d) => [d.kvHeads!]),
      length: read("i32", (d) => [d.kvHeads!]),
      out: write("f32", (d) => [d.tokens!, d.queryHeads! * d.headSize!]),
      lse: write("f32", (d) => [d.queryHeads!, d.tokens!]),
    },
    tolerance: { f32: 1e-4, f16: 4e-3, bf16: 1.6e-2 },
  }),

  decodeAttention: op({
    meaning: lines(
      "One query of each sequence over that sequence's rows, the newest already appended, lengths not yet advanced.",
      "It sees rows j <= length[h], or j < length[h] if the sequence has ended.",
      "Otherwise as `attention`.",
      "With `slot`, keys are stored unrotated and are rotated to their rank (plane 1 of cells) when they are read.",
    ),
    dims: ["sequences", "queryHeads", "kvHeads", "headSize", "arenaRows", "capacity"],
    options: ["planes", "rotary", "tableRows"],
    dtypes: { kv: rowDTypes },
    attributes: { scale: "number", softcap: "number", slot: "boolean" },
    requires: [grouped, rotated("headSize", "slot"), ranked("slot")],
    operands: {
      qkv: read("f32", (d) => [d.sequences!, (d.queryHeads! + 2 * d.kvHeads!) * d.headSize!]),
      keys: read("kv", arena),
      values: read("kv", arena),
      cells: read("i32", cells, "slot"),
      table: read("f32", table, "slot"),
      offset: read("i32", sequenceHeads),
      length: read("i32", sequenceHeads),
      ended: read("i32", sequences),
      out: write("f32", (d) => [d.sequences!, d.queryHeads! * d.headSize!]),
      lse: write("f32", (d) => [d.sequences! * d.queryHeads!]),
    },
    tolerance: { f32: 1e-4, f16: 4e-3, bf16: 1.6e-2 },
  }),

  watch: op({
    meaning: lines(
      "mass[query head, j] += sum over queries i >= from of exp(logits(i, j) - lse[query head, i]).",
      "The sum is over the rows that query i sees (see `attention`, without a window), in ascending i.",
      "`slot` as in `decodeAttention`.",
      "A sequence that has ended adds nothing.",
    ),
    dims: ["sequences", "tokens", "queryHeads", "kvHeads", "headSize", "arenaRows", "capacity"],
    options: ["from", "planes", "rotary", "tableRows"],
    dtypes: { kv: rowDTypes },
    attributes: { scale: "number", softcap: "number", slot: "boolean" },
    requires: [grouped, rotated("headSize", "slot"), ranked("slot")],
    operands: {
      qkv: read("f32", qkv),
      keys: read("kv", arena),
      cells: read("i32", cells, "slot"),
      table: read("f32", table, "slot"),
      lse: read("f32", (d) => [d.sequences! * d.queryHeads!, d.tokens!]),
      offset: read("i32", sequenceHeads),
      length: read("i32", sequenceHeads),
      ended: read("i32", sequences),
      mass: update("f32", (d) => [d.sequences! * d.queryHeads!, d.capacity!]),
    },
    tolerance: { f32: 1e-4, f16: 4e-3, bf16: 1.6e-2 },
  }),

  observe: op({
    meaning: lines(
      "observed[query head, j, first + i - from] = exp(logits(i, j) - lse[query head, i]) for queries i >= from.",
      "It is 0 for rows j < length[h] + tokens that query i does not see (see `attention`, without window).",
      "`slot` as in `decodeAttention`.",
      "A sequence that has ended is left as it is.",
    ),
    dims: ["sequences", "tokens", "queryHeads", "kvHeads", "headSize", "arenaRows", "capacity", "queries"],
    options: ["from", "first", "planes", "rotary", "tableRows"],
    dtypes: { kv: rowDTypes },
    attributes: { scale: "number", softcap: "number", slot: "boolean" },
    requires: [grouped, rotated("headSize", "slot"), ranked("slot"), observedFit],
    operands: {
      qkv: read("f32", qkv),
      keys: read("kv", arena),
      cells: read("i32", cells, "slot"),
      table: read("f32", table, "slot"),
      lse: read("f32", (d) => [d.sequences! * d.queryHeads!, d.tokens!]),
      offset: read("i32", sequenceHeads),
      length: read("i32", sequenceHeads),
      ended: read("i32", sequences),
      observed: update("f32", (d) => [d.sequences! * d.queryHeads!, d.capacity!, d.queries!]),
    },
    tolerance: { f32: 1e-4, f16: 4e-3, bf16: 1.6e-2 },
  }),

  advance: op({
    meaning: "counter[r, s, i] += by for every sequence s that has not ended.",
    dims: ["repeat", "sequences", "width", "by"],
    dtypes: {},
    attributes: {},
    operands: {
      counter: update("i32", (d) => [d.repeat!, d.sequences!, d.width!]),
      ended: read("i32", sequences),
    },
    tolerance: { i32: 0 },
  }),
} as const;
