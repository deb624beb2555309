import { bytesOf, type DType, rowDTypes, weightDTypes } from "./dtype.js";

// Every op: its dimensions, dtypes, attributes, operands, meaning and tolerance, as data. The float64 reference
// (reference/<op>.ts) gives the meaning in code; a backend has one kernel file per op, of the same name. Tensors are
// row-major.
//
// Names used throughout: `sequences` S; `tokens` n, new tokens of each sequence; `queryHeads`, `kvHeads`: heads of one
// sequence; `heads`: S x kvHeads, sequence-major; a query head h serves KV head floor(h / (queryHeads / kvHeads)). A
// qkv row holds queryHeads, then kvHeads keys, then kvHeads values, each of headSize numbers; its rows are
// sequence-major. An arena holds `arenaRows` rows of K and V; head i owns the `length[i]` rows from row `offset[i]` on.
// `cells` are 4-byte words beside K and V, plane by plane [planes, arenaRows]: plane 0 is the row's position in the
// text (i32), plane 1 its rank in the cache where `ranks` is set (i32), the rest are the scorer's columns (f32).
// `capacity` is a bound on `length`, known to the host. `ended[s]` is not 0 for a sequence that must no longer change.
// `table` row p holds cos, then sin of position p's `rotary / 2` angles.
//
// The fine print, which holds for every op:
// - `capacity` covers every row that the op sees: `length`, plus the tokens that are appended and not yet counted. A
//   `most` covers every count.
//   In `reduce` and `pool` rows may have been reduced to one before: where a length exceeds the axis, the axis counts.
// - What the meaning does not name stays as it was, in operands that are written too: entries from count[h] on, rows of
//   others, padding.
// - What the host puts into tables (offset, length, rows, ranks of planes) is trusted: it stays within the operands.
//   Ids and positions are not:
//   ids outside the vocabulary do as the op says, and positions are clamped to [0, tableRows) wherever a table of
// angles is read.
// - An operand that is written overlaps no other operand, save where the meaning allows it; operands may be slices of
//   one buffer.
// - Rotation turns (x[j], x[j + rotary / 2]) into (x[j] cos - x[j + rotary / 2] sin, x[j + rotary / 2] cos + x[j] sin),
//   angle j of the row. Queries
//   arrive rotated; `slot` and `rotate` turn keys that lie unrotated.
// - Over no rows softmax . values is 0 and its log-sum-exp -Infinity. Logarithms are natural. NaN in, other than in
//   scores of `topk` and logits of
//   `sample`, gives unspecified numbers out.
// - What lies beyond a head's length reaches nothing, NaN or not.
// - Rows of 16-bit numbers hold an even count; quantised weights start at a multiple of 16 bytes.
// - 16-bit values are rounded to nearest, ties to even; f32 beyond the f16 range becomes an infinity.
// - Tolerance is met by what is written in f32, f16 and bf16; what is written as i32 (rows, counts, cells, ids) is
//   exact.

type Access = "read" | "write" | "update";
type Numbers = Readonly<Record<string, number>>;

export interface OperandRule {
  readonly access: Access;
  /** A dtype, or the name of one of the op's dtype parameters. */
  readonly dtype: string;
  readonly shape: (dims: Numbers) => readonly number[];
  /** The boolean attribute that must be set for the operand to be there; "!name" for one that must not. */
  readonly when?: string;
}

type AttributeRule = "number" | "boolean" | readonly string[];

export interface OpRule {
  /** What the op computes. */
  readonly meaning: string;
  /** Whole numbers of at least 1. */
  readonly dims: readonly string[];
  /** Whole numbers of at least 0, which default to 0. */
  readonly options?: readonly string[];
  readonly dtypes: Readonly<Record<string, readonly DType[]>>;
  readonly attributes: Readonly<Record<string, AttributeRule>>;
  readonly operands: Readonly<Record<string, OperandRule>>;
  /**
   * Greatest error allowed against the float64 reference, as |a - b| <= tolerance x (1 + |b|), per dtype of the spec's
   * first dtype parameter; 0 is exact.
   */
  readonly tolerance: Readonly<Partial<Record<DType, number>>>;
}

const read = <const D extends string, const W extends string | undefined = undefined>(
  dtype: D,
  shape: (d: Numbers) => readonly number[],
  when?: W,
) =>
  ({ access: "read", dtype, shape, ...(when === undefined ? {} : { when }) }) as OperandRule & {
    access: "read";
    dtype: D;
    when: W;
  };
const write = <const D extends string, const W extends string | undefined = undefined>(
  dtype: D,
  shape: (d: Numbers) => readonly number[],
  when?: W,
) =>
  ({ access: "write", dtype, shape, ...(when === undefined ? {} : { when }) }) as OperandRule & {
    access: "write";
    dtype: D;
    when: W;
  };
const update = <const D extends string, const W extends string | undefined = undefined>(
  dtype: D,
  shape: (d: Numbers) => readonly number[],
  when?: W,
) =>
  ({ access: "update", dtype, shape, ...(when === undefined ? {} : { when }) }) as OperandRule & {
    access: "update";
    dtype: D;
    when: W;
  };
const op = <const R extends OpRule>(rule: R): R => rule;

const qkv = (d: Numbers) => [d.sequences! * d.tokens!, (d.queryHeads! + 2 * d.kvHeads!) * d.headSize!];
const heads = (d: Numbers) => [d.heads!];
const sequenceHeads = (d: Numbers) => [d.sequences! * d.kvHeads!];
const sequences = (d: Numbers) => [d.sequences!];
const arena = (d: Numbers) => [d.arenaRows!, d.headSize!];
const cells = (d: Numbers) => [d.planes!, d.arenaRows!];
const table = (d: Numbers) => [d.tableRows!, d.rotary!];
const grid = (d: Numbers) => [d.heads!, d.capacity!];

export const catalogue = {
  // The model

  embed: op({
    meaning: "out[t] = scale x table[ids[t]]; an id outside the table reads row 0",
    dims: ["tokens", "vocabulary", "width"],
    dtypes: { weight: weightDTypes },
    attributes: { scale: "number" },
    operands: {
      ids: read("i32", (d) => [d.tokens!]),
      table: read("weight", (d) => [d.vocabulary!, d.width!]),
      out: write("f32", (d) => [d.tokens!, d.width!]),
    },
    tolerance: { f32: 1e-6, f16: 1e-6, bf16: 1e-6, q8_0: 1e-6, q4_0: 1e-6, q4_1: 1e-6 },
  }),

  rmsNorm: op({
    meaning: "out[r] = x[r] / sqrt(mean(x[r]^2) + epsilon) x weight",
    dims: ["rows", "width"],
    dtypes: {},
    attributes: { epsilon: "number" },
    operands: {
      x: read("f32", (d) => [d.rows!, d.width!]),
      weight: read("f32", (d) => [d.width!]),
      out: write("f32", (d) => [d.rows!, d.width!]),
    },
    tolerance: { f32: 1e-5 },
  }),

  linear: op({
    meaning:
      "out[r, o] = sum over i of x[r, i] x weight[o, i], plus bias[o] and residual[r, o] where there; residual may be out itself. Activations may be rounded to 16 bits with 16-bit weights and to 8 bits a block of 32 with quantised ones",
    dims: ["rows", "width", "out"],
    dtypes: { weight: weightDTypes },
    attributes: { bias: "boolean", residual: "boolean" },
    operands: {
      x: read("f32", (d) => [d.rows!, d.width!]),
      weight: read("weight", (d) => [d.out!, d.width!]),
      bias: read("f32", (d) => [d.out!], "bias"),
      residual: read("f32", (d) => [d.rows!, d.out!], "residual"),
      out: write("f32", (d) => [d.rows!, d.out!]),
    },
    // Times the root of the sum of squares of the terms (products, bias, residual), which is what rounding scales with,
    // instead of 1 + |b|.
    tolerance: { f32: 2e-5, f16: 4e-3, bf16: 8e-3, q8_0: 4e-2, q4_0: 4e-2, q4_1: 4e-2 },
  }),

  gatedActivation: op({
    meaning: "out[r, i] = activation(x[r, i]) x x[r, width + i]; silu(a) = a / (1 + exp(-a)); gelu is the tanh form",
    dims: ["rows", "width"],
    dtypes: {},
    attributes: { kind: ["silu", "gelu"] },
    operands: {
      x: read("f32", (d) => [d.rows!, 2 * d.width!]),
      out: write("f32", (d) => [d.rows!, d.width!]),
    },
    tolerance: { f32: 1e-5 },
  }),

  rope: op({
    meaning:
      "Rotates, in place, the query heads of qkv and with `keys` the key heads: token i of (sequence, KV head) h is at position base[h] + i, its query heads at that of their KV head; number j pairs with j + rotary / 2, numbers from rotary on stay. Positions are clamped to the table",
    dims: ["sequences", "tokens", "queryHeads", "kvHeads", "headSize", "rotary", "tableRows"],
    dtypes: {},
    attributes: { keys: "boolean" },
    operands: {
      qkv: update("f32", qkv),
      table: read("f32", table),
      base: read("i32", sequenceHeads),
    },
    tolerance: { f32: 1e-5 },
  }),

  logProbability: op({
    meaning:
      "out[r] = logits[r, ids[r]] - log(sum over v of exp(logits[r, v])); an id outside the vocabulary gives -Infinity",
    dims: ["rows", "vocabulary"],
    dtypes: {},
    attributes: {},
    operands: {
      logits: read("f32", (d) => [d.rows!, d.vocabulary!]),
      ids: read("i32", (d) => [d.rows!]),
      out: write("f32", (d) => [d.rows!]),
    },
    tolerance: { f32: 1e-5 },
  }),

  sample: op({
    meaning:
      "Next token of every sequence that has not ended. params[s] = temperature, topK, topP, minP, penalty. Logits of tokens with history > 0 are divided by penalty where positive, multiplied where negative; temperature 0 takes the greatest (ties: lower id), as does a greatest logit that is not finite; NaN counts as -Infinity. Else softmax(logits / temperature) is cut to the topK likeliest (0: all; ties: lower id), then to the fewest likeliest of the rest, renormalised, whose sum reaches topP (1: all), then to those of at least minP x the greatest; the token is the first in order of id whose running sum exceeds u x total, u = uniform(seeds[s], steps[s]), see reference/random.ts. Then tokens[s] = the token, ids[s, steps[s] mod ring] = the token, history[s, token] += 1, ended[s] = 1 if stops[s] holds it, steps[s] += 1",
    dims: ["sequences", "vocabulary", "ring", "stopCount"],
    dtypes: {},
    attributes: { history: "boolean" },
    operands: {
      logits: read("f32", (d) => [d.sequences!, d.vocabulary!]),
      params: read("f32", (d) => [d.sequences!, 5]),
      seeds: read("i32", sequences),
      stops: read("i32", (d) => [d.sequences!, d.stopCount!]),
      history: update("i32", (d) => [d.sequences!, d.vocabulary!], "history"),
      steps: update("i32", sequences),
      ended: update("i32", sequences),
      tokens: update("i32", sequences),
      ids: update("i32", (d) => [d.sequences!, d.ring!]),
    },
    tolerance: { f32: 0 },
  }),

  // Attention over ragged rows

  append: op({
    meaning:
      "Token i of (sequence, KV head) h goes to row offset[h] + length[h] + i: with `keys` its key, with `values` its value, with `cells` its cells: position seen[h] + i, with `ranks` rank length[h] + i, other planes 0. Lengths stay. A sequence that has ended appends nothing",
    dims: ["sequences", "tokens", "queryHeads", "kvHeads", "headSize", "arenaRows", "planes"],
    dtypes: { kv: rowDTypes },
    attributes: { keys: "boolean", values: "boolean", cells: "boolean", ranks: "boolean" },
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
    meaning:
      "Prefill of one sequence whose n newest rows are already appended, length not yet advanced: query i sees rows j <= length[h] + i, with window > 0 only those with j > length[h] + i - window. Logits are scale x q.k, then softcap x tanh(logits / softcap) where softcap > 0. out[i, query head] = softmax(logits) . values; lse[query head, i] = log(sum(exp(logits)))",
    dims: ["tokens", "queryHeads", "kvHeads", "headSize", "arenaRows"],
    options: ["window"],
    dtypes: { kv: rowDTypes },
    attributes: { scale: "number", softcap: "number" },
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
    meaning:
      "One query a sequence over that sequence's rows, the newest already appended, lengths not yet advanced: rows j <= length[h], or j < length[h] where the sequence has ended. As `attention` otherwise. With `slot`, keys lie unrotated and are rotated on read to their rank (cells plane 1)",
    dims: ["sequences", "queryHeads", "kvHeads", "headSize", "arenaRows", "capacity"],
    options: ["planes", "rotary", "tableRows"],
    dtypes: { kv: rowDTypes },
    attributes: { scale: "number", softcap: "number", slot: "boolean" },
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
    meaning:
      "mass[query head, j] += sum over queries i >= from of exp(logits(i, j) - lse[query head, i]), over the rows that query i sees (see `attention`, no window); summed in ascending i. `slot` as in `decodeAttention`. A sequence that has ended adds nothing",
    dims: ["sequences", "tokens", "queryHeads", "kvHeads", "headSize", "arenaRows", "capacity"],
    options: ["from", "planes", "rotary", "tableRows"],
    dtypes: { kv: rowDTypes },
    attributes: { scale: "number", softcap: "number", slot: "boolean" },
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
    meaning:
      "observed[query head, j, first + i - from] = exp(logits(i, j) - lse[query head, i]) for queries i >= from and the rows j that query i sees (see `attention`, no window), and 0 for rows j < length[h] + tokens that it does not see. `slot` as in `decodeAttention`. A sequence that has ended is left as it is",
    dims: ["sequences", "tokens", "queryHeads", "kvHeads", "headSize", "arenaRows", "capacity", "queries"],
    options: ["from", "first", "planes", "rotary", "tableRows"],
    dtypes: { kv: rowDTypes },
    attributes: { scale: "number", softcap: "number", slot: "boolean" },
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
    meaning: "counter[r, s, i] += by for every sequence s that has not ended",
    dims: ["repeat", "sequences", "width", "by"],
    dtypes: {},
    attributes: {},
    operands: {
      counter: update("i32", (d) => [d.repeat!, d.sequences!, d.width!]),
      ended: read("i32", sequences),
    },
    tolerance: { i32: 0 },
  }),

  // Choosing and moving rows

  topk: op({
    meaning:
      "rows[h]: the count[h] = min(keep[h], length[h], most) rows of the greatest scores, as row numbers within the head, ascending; ties go to the lower position (`positions` is plane 0 of the arena), NaN is below everything, -Infinity included",
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

  apportion: op({
    meaning:
      "keep[h] of each sequence: how many rows of head h are among the best limits[s, 0] rows of all its heads. First each head gets its best min(limits[s, 1], length[h]) rows; then the best rows of those left get in, as long as their head has fewer than limits[s, 2], until limits[s, 0] are in or none is left. Better is the greater score (NaN below everything), then the lower position (`positions` is plane 0 of the arena), then the lower head",
    dims: ["sequences", "kvHeads", "capacity", "arenaRows"],
    dtypes: {},
    attributes: {},
    operands: {
      scores: read("f32", (d) => [d.sequences! * d.kvHeads!, d.capacity!]),
      positions: read("i32", (d) => [d.arenaRows!]),
      offset: read("i32", sequenceHeads),
      length: read("i32", sequenceHeads),
      limits: read("i32", (d) => [d.sequences!, 3]),
      keep: write("i32", sequenceHeads),
    },
    tolerance: { i32: 0 },
  }),

  order: op({
    meaning:
      "rows[h]: all length[h] row numbers of the head in ascending position (no two rows of a head share one); count[h] = length[h]",
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
    meaning:
      "Target row targetOffset[h] + i = source row offset[h] + rows[h, i] for i < count[h]: keys, with `values` values and all planes of cells; with `ranks` plane 1 becomes i; with `rotate` the key is rotated to position i. targetLength[h] = count[h]. Source and target are different buffers. Without `values`, `ranks` does nothing",
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
    meaning:
      "Leaves each head the count[h] rows named by rows[h] (ascending), in its first count[h] places: with `ordered` in their order, else the survivors beyond count[h] move, in order, into the holes below, in order. K, V and every plane move; with `ranks` plane 1 falls by the number of evicted rows that ranked lower. length[h] = count[h]. Rows from count[h] on are left as they are. Heads with count[h] >= length[h] and sequences that have ended stay as they are",
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

  // Tensor expressions, on f32; masks are 0 and 1

  load: op({
    meaning:
      "out[h, j] = source row offset[h] + j as f32 for j < length[h], else 0. With `rotate` the row is a key and is rotated to its rank, ranks[offset[h] + j]",
    dims: ["heads", "capacity", "width", "arenaRows"],
    options: ["rotary", "tableRows"],
    dtypes: { source: ["f32", "f16", "bf16", "i32"] },
    attributes: { rotate: "boolean" },
    operands: {
      source: read("source", (d) => [d.arenaRows!, d.width!]),
      ranks: read("i32", (d) => [d.arenaRows!], "rotate"),
      table: read("f32", table, "rotate"),
      offset: read("i32", heads),
      length: read("i32", heads),
      out: write("f32", (d) => [d.heads!, d.capacity!, d.width!]),
    },
    tolerance: { f32: 1e-5, f16: 1e-5, bf16: 1e-5, i32: 0 },
  }),

  store: op({
    meaning: "target[offset[h] + j] = x[h, j] for j < length[h], unless the sequence has ended",
    dims: ["sequences", "kvHeads", "capacity", "arenaRows"],
    dtypes: {},
    attributes: {},
    operands: {
      x: read("f32", (d) => [d.sequences! * d.kvHeads!, d.capacity!]),
      offset: read("i32", sequenceHeads),
      length: read("i32", sequenceHeads),
      ended: read("i32", sequences),
      target: update("f32", (d) => [d.arenaRows!]),
    },
    tolerance: { f32: 0 },
  }),

  unary: op({
    meaning:
      "out = kind(x), element by element; not: 1 where x is 0, else 0; x is i32 with float, which reads it as a number, and f32 with the others",
    dims: ["elements"],
    dtypes: { x: ["f32", "i32"] },
    attributes: { kind: ["neg", "abs", "exp", "log", "sqrt", "not", "float"] },
    operands: { x: read("x", (d) => [d.elements!]), out: write("f32", (d) => [d.elements!]) },
    tolerance: { f32: 1e-5, i32: 0 },
  }),

  binary: op({
    meaning:
      "out[d0, d1, d2] = kind(a, b), each operand's axis being as long as out's or 1; with `literal` b is the number `value`. Comparisons give 1 or 0; and, or: of what is not 0",
    dims: ["d0", "d1", "d2", "a0", "a1", "a2", "b0", "b1", "b2"],
    dtypes: {},
    attributes: {
      kind: ["add", "sub", "mul", "div", "max", "min", "lt", "le", "gt", "ge", "eq", "and", "or"],
      literal: "boolean",
      value: "number",
    },
    operands: {
      a: read("f32", (d) => [d.a0!, d.a1!, d.a2!]),
      b: read("f32", (d) => [d.b0!, d.b1!, d.b2!], "!literal"),
      out: write("f32", (d) => [d.d0!, d.d1!, d.d2!]),
    },
    tolerance: { f32: 1e-6 },
  }),

  where: op({
    meaning:
      "out = mask is not 0 ? a : b, broadcast as in `binary`; with `literalA` a is the number `valueA`, with `literalB` b is `valueB`",
    dims: ["d0", "d1", "d2", "m0", "m1", "m2", "a0", "a1", "a2", "b0", "b1", "b2"],
    dtypes: {},
    attributes: { literalA: "boolean", valueA: "number", literalB: "boolean", valueB: "number" },
    operands: {
      mask: read("f32", (d) => [d.m0!, d.m1!, d.m2!]),
      a: read("f32", (d) => [d.a0!, d.a1!, d.a2!], "!literalA"),
      b: read("f32", (d) => [d.b0!, d.b1!, d.b2!], "!literalB"),
      out: write("f32", (d) => [d.d0!, d.d1!, d.d2!]),
    },
    tolerance: { f32: 0 },
  }),

  reduce: op({
    meaning:
      "Reduces axis `axis` (0, 1 or 2) of x[d0, d1, d2] to length 1, in ascending order; norm is the Euclidean one. With `ragged` (axis 1) only the first length[floor(i0 / share)] entries count; over none, sum and norm are 0, mean is 0, max is -Infinity and min is Infinity",
    dims: ["d0", "d1", "d2", "share"],
    options: ["axis"],
    dtypes: {},
    attributes: { kind: ["sum", "mean", "max", "min", "norm"], ragged: "boolean" },
    operands: {
      x: read("f32", (d) => [d.d0!, d.d1!, d.d2!]),
      length: read("i32", (d) => [Math.ceil(d.d0! / d.share!)], "ragged"),
      out: write("f32", (d) => [d.axis === 0 ? 1 : d.d0!, d.axis === 1 ? 1 : d.d1!, d.axis === 2 ? 1 : d.d2!]),
    },
    tolerance: { f32: 1e-5 },
  }),

  pool: op({
    meaning:
      "out[h, j, i] over x[h, j - (kernel - 1) / 2 .. j + (kernel - 1) / 2, i], kernel odd: avg divides the sum by kernel, entries outside the head's length[floor(h / share)] count as 0; max leaves those out. 0 for j beyond the length",
    dims: ["heads", "capacity", "size", "kernel", "share"],
    dtypes: {},
    attributes: { kind: ["avg", "max"] },
    operands: {
      x: read("f32", (d) => [d.heads!, d.capacity!, d.size!]),
      length: read("i32", (d) => [Math.ceil(d.heads! / d.share!)]),
      out: write("f32", (d) => [d.heads!, d.capacity!, d.size!]),
    },
    tolerance: { f32: 1e-5 },
  }),

  through: op({
    meaning:
      "out[h, j] = sqrt(x . G x) for j < length[floor(h / group)], else 0: x = x[floor(h / repeat), j], G = gram[h mod share], symmetric; a product below 0 counts as 0. With G = W^T W it is the Euclidean norm of W x",
    dims: ["heads", "group", "repeat", "share", "capacity", "size"],
    dtypes: {},
    attributes: {},
    operands: {
      x: read("f32", (d) => [Math.ceil(d.heads! / d.repeat!), d.capacity!, d.size!]),
      gram: read("f32", (d) => [d.share!, d.size!, d.size!]),
      length: read("i32", (d) => [Math.ceil(d.heads! / d.group!)]),
      out: write("f32", (d) => [d.heads!, d.capacity!]),
    },
    tolerance: { f32: 1e-4 },
  }),

  hash: op({
    meaning:
      "out[h, j] = uniform(seed + head, positions[h, j]) in [0, 1), head = h mod kvHeads; positions are whole numbers from 0 to 2^24; see reference/random.ts",
    dims: ["heads", "capacity", "kvHeads"],
    options: ["seed"],
    dtypes: {},
    attributes: {},
    operands: { positions: read("f32", grid), out: write("f32", grid) },
    tolerance: { f32: 0 },
  }),

  // Bytes

  fill: op({
    meaning: "out = value, `words` times; as i32 where dtype is i32",
    dims: ["words"],
    dtypes: { dtype: ["f32", "i32"] },
    attributes: { value: "number" },
    operands: { out: write("dtype", (d) => [d.words!]) },
    tolerance: { f32: 0, i32: 0 },
  }),

  copy: op({
    meaning: "out = x, word by word",
    dims: ["words"],
    dtypes: {},
    attributes: {},
    operands: { x: read("i32", (d) => [d.words!]), out: write("i32", (d) => [d.words!]) },
    tolerance: { i32: 0 },
  }),
} as const satisfies Record<string, OpRule>;

type Catalogue = typeof catalogue;
export type OpName = keyof Catalogue;

type AttributeValue<A> = A extends "number"
  ? number
  : A extends "boolean"
    ? boolean
    : A extends readonly (infer K)[]
      ? K
      : never;
type Options<R> = R extends { options: readonly (infer K extends string)[] } ? { readonly [P in K]?: number } : unknown;
/** Boolean attributes may be left out: they are false then. */
type Flags<A> = { readonly [K in keyof A as A[K] extends "boolean" ? K : never]?: boolean };
type Values<A> = { readonly [K in keyof A as A[K] extends "boolean" ? never : K]: AttributeValue<A[K]> };
type SpecOf<R extends OpRule> = { readonly [K in R["dims"][number]]: number } & {
  readonly [K in keyof R["dtypes"]]: R["dtypes"][K][number];
} & Values<R["attributes"]> &
  Flags<R["attributes"]> &
  Options<R>;

/** Dimensions, dtypes and attributes of one op. */
export type Spec<N extends OpName> = SpecOf<Catalogue[N]>;

type SliceLike = import("./buffer.js").Slice;
type OperandsOf<R extends OpRule> = {
  readonly [K in keyof R["operands"] as R["operands"][K] extends { when: string } ? never : K]: SliceLike;
} & { readonly [K in keyof R["operands"] as R["operands"][K] extends { when: string } ? K : never]?: SliceLike };

/** The buffers of one op, by operand. */
export type Operands<N extends OpName> = OperandsOf<Catalogue[N]>;

export const opNames = Object.keys(catalogue) as readonly OpName[];

/** Bytes that an operand must hold under a spec. */
export function operandBytes(rule: OperandRule, dtypes: Readonly<Record<string, DType>>, dims: Numbers): number {
  return bytesOf((dtypes[rule.dtype] ?? rule.dtype) as DType, rule.shape(dims));
}
