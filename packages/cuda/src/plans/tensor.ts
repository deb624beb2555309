import { at, float, int, over, type Plan } from "../launch.js";

// Tensor expressions and bytes; most kernels use one thread per element.

const elementwise = (elements: number) => ({ grid: [over(elements, 256)], threads: 256 }) as const;

const load: Plan<"load"> = ({ heads, capacity, width, source, rotary, tableRows }) => {
  const elements = heads * capacity * width;
  const operands = ["source", "ranks", "table", "offset", "length", "out"];
  return {
    launches: [
      {
        ...{ file: "load", kernel: `load_${source}`, ...elementwise(elements) },
        args: [...operands.map((name) => at(name)), ...int(elements, capacity, width, rotary, tableRows)],
      },
    ],
  };
};

const store: Plan<"store"> = ({ sequences, kvHeads, capacity }) => {
  const heads = sequences * kvHeads;
  const operands = ["x", "offset", "length", "ended", "target"];
  return {
    launches: [
      {
        file: "store",
        kernel: "store",
        ...elementwise(heads * capacity),
        args: [...operands.map((name) => at(name)), ...int(heads, capacity, kvHeads)],
      },
    ],
  };
};

const unary: Plan<"unary"> = ({ elements, kind }) => ({
  launches: [
    { file: "unary", kernel: `unary_${kind}`, ...elementwise(elements), args: [at("x"), at("out"), ...int(elements)] },
  ],
});

const binary: Plan<"binary"> = ({ d0, d1, d2, a0, a1, a2, b0, b1, b2, kind, literal, value }) => ({
  launches: [
    {
      ...{ file: "binary", kernel: `binary_${kind}`, ...elementwise(d0 * d1 * d2) },
      args: [at("a"), at("b"), at("out"), ...int(d0, d1, d2, a0, a1, a2, b0, b1, b2, literal), ...float(value)],
    },
  ],
});

const where: Plan<"where"> = (spec) => {
  const { d0, d1, d2, m0, m1, m2, a0, a1, a2, b0, b1, b2, literalA, literalB, valueA, valueB } = spec;
  return {
    launches: [
      {
        ...{ file: "where", kernel: "where", ...elementwise(d0 * d1 * d2) },
        args: [
          ...[at("mask"), at("a"), at("b"), at("out")],
          ...int(d0, d1, d2, m0, m1, m2, a0, a1, a2, b0, b1, b2, literalA, literalB),
          ...float(valueA, valueB),
        ],
      },
    ],
  };
};

const reduce: Plan<"reduce"> = ({ d0, d1, d2, share, axis, kind }) => {
  const steps = [d0, d1, d2][axis]!;
  const stride = [d1 * d2, d2, 1][axis]!;
  const results = (d0 * d1 * d2) / steps;
  const operands = [at("x"), at("length"), at("out")];
  if (stride === 1 && steps > 32) {
    const args = [...operands, ...int(axis, d1, d2, steps, share)];
    return { launches: [{ file: "reduce", kernel: `reduce_rows_${kind}`, grid: [results], threads: 256, args }] };
  }
  const args = [...operands, ...int(results, axis, d1, d2, steps, stride, share)];
  return { launches: [{ file: "reduce", kernel: `reduce_lanes_${kind}`, ...elementwise(results), args }] };
};

const pool: Plan<"pool"> = ({ heads, capacity, size, kernel, share, kind }) => ({
  launches: [
    {
      ...{ file: "pool", kernel: "pool", ...elementwise(heads * capacity * size) },
      args: [
        ...[at("x"), at("length"), at("out")],
        ...int(heads * capacity * size, capacity, size, kernel, share, kind === "max"),
      ],
    },
  ],
});

const through: Plan<"through"> = ({ heads, group, repeat, share, capacity, size }) => ({
  launches: [
    {
      ...{ file: "through", kernel: "through", grid: [over(capacity, 64), heads], threads: 256 },
      args: [at("x"), at("gram"), at("length"), at("out"), ...int(group, repeat, share, capacity, size)],
    },
  ],
});

const hash: Plan<"hash"> = ({ heads, capacity, kvHeads, seed }) => ({
  launches: [
    {
      ...{ file: "hash", kernel: "hash", ...elementwise(heads * capacity) },
      args: [at("positions"), at("out"), ...int(heads * capacity, capacity, kvHeads, seed)],
    },
  ],
});

const fill: Plan<"fill"> = ({ words, dtype, value }) => ({
  launches: [
    {
      file: "fill",
      kernel: "fill",
      ...elementwise(words),
      args: [at("out"), ...int(words), ...(dtype === "i32" ? int(value) : float(value))],
    },
  ],
});

const copy: Plan<"copy"> = ({ words }) => ({
  launches: [{ file: "copy", kernel: "copy", ...elementwise(words), args: [at("x"), at("out"), ...int(words)] }],
});

export const tensor = { load, store, unary, binary, where, reduce, pool, through, hash, fill, copy };
