import {
  broadcast,
  grid,
  heads,
  lines,
  op,
  read,
  rotated,
  sequenceHeads,
  sequences,
  table,
  update,
  write,
} from "./rule.js";

/** Ops of tensor expressions, on f32; masks are 0 and 1. And two that fill and copy words. */
export const tensor = {
  load: op({
    meaning: lines(
      "out[h, j] = source row offset[h] + j as f32 for j < length[h], else 0.",
      "With `rotate`, the row is a key and is rotated to its rank, ranks[offset[h] + j].",
    ),
    dims: ["heads", "capacity", "width", "arenaRows"],
    options: ["rotary", "tableRows"],
    dtypes: { source: ["f32", "f16", "bf16", "i32"] },
    attributes: { rotate: "boolean" },
    requires: [rotated("width", "rotate")],
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
    meaning: "target[offset[h] + j] = x[h, j] for j < length[h], unless the sequence has ended.",
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
    meaning: lines(
      "out = kind(x), element by element.",
      "not: 1 if x is 0, else 0.",
      "float: x is i32, and is read as a number; x is f32 for all other kinds.",
    ),
    dims: ["elements"],
    dtypes: { x: ["f32", "i32"] },
    attributes: { kind: ["neg", "abs", "exp", "log", "sqrt", "not", "float"] },
    operands: { x: read("x", (d) => [d.elements!]), out: write("f32", (d) => [d.elements!]) },
    tolerance: { f32: 1e-5, i32: 0 },
  }),

  binary: op({
    meaning: lines(
      "out[d0, d1, d2] = kind(a, b). Each axis of an operand is as long as out's, or 1.",
      "With `literal`, b is the number `value`.",
      "Comparisons give 1 or 0; `and` and `or` read what is not 0 as true.",
    ),
    dims: ["d0", "d1", "d2", "a0", "a1", "a2", "b0", "b1", "b2"],
    dtypes: {},
    attributes: {
      kind: ["add", "sub", "mul", "div", "max", "min", "lt", "le", "gt", "ge", "eq", "and", "or"],
      literal: "boolean",
      value: "number",
    },
    requires: [broadcast("a"), broadcast("b", "literal")],
    operands: {
      a: read("f32", (d) => [d.a0!, d.a1!, d.a2!]),
      b: read("f32", (d) => [d.b0!, d.b1!, d.b2!], "!literal"),
      out: write("f32", (d) => [d.d0!, d.d1!, d.d2!]),
    },
    tolerance: { f32: 1e-6 },
  }),

  where: op({
    meaning: lines(
      "out = a where mask is not 0, else b, broadcast as in `binary`.",
      "With `literalA`, a is the number `valueA`; with `literalB`, b is `valueB`.",
    ),
    dims: ["d0", "d1", "d2", "m0", "m1", "m2", "a0", "a1", "a2", "b0", "b1", "b2"],
    dtypes: {},
    attributes: { literalA: "boolean", valueA: "number", literalB: "boolean", valueB: "number" },
    requires: [broadcast("m"), broadcast("a", "literalA"), broadcast("b", "literalB")],
    operands: {
      mask: read("f32", (d) => [d.m0!, d.m1!, d.m2!]),
      a: read("f32", (d) => [d.a0!, d.a1!, d.a2!], "!literalA"),
      b: read("f32", (d) => [d.b0!, d.b1!, d.b2!], "!literalB"),
      out: write("f32", (d) => [d.d0!, d.d1!, d.d2!]),
    },
    tolerance: { f32: 0 },
  }),

  reduce: op({
    meaning: lines(
      "Reduces axis `axis` (0, 1 or 2) of x[d0, d1, d2] to length 1, in ascending order.",
      "norm is the Euclidean norm.",
      "With `ragged` (axis 1), only the first length[floor(i0 / share)] entries count.",
      "Over none, sum, norm and mean are 0, max is -Infinity and min is Infinity.",
    ),
    dims: ["d0", "d1", "d2", "share"],
    options: ["axis"],
    dtypes: {},
    attributes: { kind: ["sum", "mean", "max", "min", "norm"], ragged: "boolean" },
    requires: [
      ({ axis }) => (Number(axis) <= 2 ? undefined : `axis is ${axis}; it must be 0, 1 or 2`),
      ({ axis, ragged }) => (ragged !== true || axis === 1 ? undefined : `axis is ${axis}; with ragged it must be 1`),
    ],
    operands: {
      x: read("f32", (d) => [d.d0!, d.d1!, d.d2!]),
      length: read("i32", (d) => [Math.ceil(d.d0! / d.share!)], "ragged"),
      out: write("f32", (d) => [d.axis === 0 ? 1 : d.d0!, d.axis === 1 ? 1 : d.d1!, d.axis === 2 ? 1 : d.d2!]),
    },
    tolerance: { f32: 1e-5 },
  }),

  pool: op({
    meaning: lines(
      "out[h, j, i] over x[h, j - (kernel - 1) / 2 .. j + (kernel - 1) / 2, i], kernel odd.",
      "avg divides the sum by kernel; entries beyond the head's length[floor(h / share)] count as 0.",
      "max leaves those entries out.",
      "out is 0 for j beyond the length.",
    ),
    dims: ["heads", "capacity", "size", "kernel", "share"],
    dtypes: {},
    attributes: { kind: ["avg", "max"] },
    requires: [({ kernel }) => (Number(kernel) % 2 === 1 ? undefined : `kernel is ${kernel}; it must be odd`)],
    operands: {
      x: read("f32", (d) => [d.heads!, d.capacity!, d.size!]),
      length: read("i32", (d) => [Math.ceil(d.heads! / d.share!)]),
      out: write("f32", (d) => [d.heads!, d.capacity!, d.size!]),
    },
    tolerance: { f32: 1e-5 },
  }),

  through: op({
    meaning: lines(
      "out[h, j] = sqrt(x . G x) for j < length[floor(h / group)], else 0.",
      "x is x[floor(h / repeat), j], and G is gram[h mod share], which is symmetric.",
      "A product below 0 counts as 0.",
      "With G = W^T W it is the Euclidean norm of W x.",
    ),
    dims: ["heads", "group", "repeat", "share", "capacity", "size"],
    dtypes: {},
    attributes: {},
    operands: {
      x: read("f32", (d) => [Math.ceil(d.heads! / d.repeat!), d.capacity!, d.size!]),
      gram: read("f32", (d) => [d.share!, d.size!, d.size!]),
      length: read("i32", (d) => [Math.ceil(d.heads! / d.group!)]),
      out: write("f32", grid),
    },
    tolerance: { f32: 1e-4 },
  }),

  hash: op({
    meaning: lines(
      "out[h, j] = uniform(seed + head, positions[h, j]) in [0, 1), head = h mod kvHeads: see reference/random.ts.",
      "Positions are whole numbers from 0 to 2^24.",
    ),
    dims: ["heads", "capacity", "kvHeads"],
    options: ["seed"],
    dtypes: {},
    attributes: {},
    operands: { positions: read("f32", grid), out: write("f32", grid) },
    tolerance: { f32: 0 },
  }),

  fill: op({
    meaning: "out = value, `words` times, as i32 if dtype is i32.",
    dims: ["words"],
    dtypes: { dtype: ["f32", "i32"] },
    attributes: { value: "number" },
    operands: { out: write("dtype", (d) => [d.words!]) },
    tolerance: { f32: 0, i32: 0 },
  }),

  copy: op({
    meaning: "out = x, word by word.",
    dims: ["words"],
    dtypes: {},
    attributes: {},
    operands: { x: read("i32", (d) => [d.words!]), out: write("i32", (d) => [d.words!]) },
    tolerance: { i32: 0 },
  }),
} as const;
