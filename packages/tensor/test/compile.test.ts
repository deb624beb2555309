import { randomUniform, reference, ShapeError } from "@ziggurat/tensor";
import { compile, input, type Node, through } from "@ziggurat/tensor/expression";
import { describe, expect, it } from "vitest";
import { evaluate, inputs } from "./evaluate.js";

const inf = Number.POSITIVE_INFINITY;
/** Two KV heads, each shared by two query heads. */
const counts = { heads: 2, kvHeads: 2, group: 2 };
const round = (numbers: readonly number[]) => numbers.map((x) => Number(x.toFixed(5)));

describe("expressions, compiled", () => {
  it("SnapKV: mean of the group, average of neighbours, the window stays", async () => {
    const values = {
      // Rows beyond the lengths, 4 and 3, hold values that no policy may see.
      mass: { shape: [4, 5], data: [3, 0, 6, 3, 99, 9, 0, 0, 9, 99, 1, 2, 3, 99, 99, 5, 4, 3, 99, 99] },
      age: { shape: [2, 5], data: [3, 2, 1, 0, 0, 2, 1, 0, 0, 0] },
    };
    const { mass, age } = inputs(values, counts);
    const score = age.lt(1).where(inf, mass.group("mean").avgPool(3));
    const { numbers } = await evaluate([score], values, [4, 3]);
    // Means of the group: 6 0 3 6 and 3 3 3; past the ends are zeros, which count.
    expect(numbers[0]!.slice(0, 4)).toEqual([2, 3, 3, inf]);
    expect(numbers[0]!.slice(5, 8)).toEqual([2, 3, inf]);
  });

  it("attention per query: reduced over queries, pooled along rows", async () => {
    const data = [1, 2, 3, 4, 5, 6, 9, 9, 0, 1, 2, 3, 9, 9, 9, 9, 7, 8, 1, 2, 3, 4, 9, 9, 5, 5, 6, 6, 9, 9, 9, 9];
    const slices = { observed: { shape: [4, 4, 2], data } };
    const observed = input("observed", [4, 4, 2], counts, ["heads", "rows", "queries"]);
    const { numbers } = await evaluate(
      [observed.max("queries").group("max"), observed.maxPool(3), observed.avgPool(3).sum("rows")],
      slices,
      [3, 2],
    );
    expect(numbers[0]!.slice(0, 3)).toEqual([2, 4, 9]);
    expect(numbers[0]!.slice(4, 6)).toEqual([8, 6]);
    expect(numbers[1]!.slice(0, 8)).toEqual([3, 4, 5, 6, 5, 6, 0, 0]);
    // Each number counts in the averages of its neighbours that are there: thrice, or twice at an end.
    expect(round(numbers[2]!.slice(0, 2))).toEqual(round([(2 * 1 + 3 * 3 + 2 * 5) / 3, (2 * 2 + 3 * 4 + 2 * 6) / 3]));
    expect(round(numbers[2]!.slice(4, 6))).toEqual(round([(2 * 7 + 2 * 1) / 3, (2 * 8 + 2 * 2) / 3]));
  });

  it("across the heads of two sequences, and from KV heads to query heads", async () => {
    const own = { heads: 4, kvHeads: 2, group: 2 };
    const values = {
      x: { shape: [4, 2], data: [1, 2, 3, 4, 5, 6, 7, 8] },
      mass: { shape: [8, 1], data: [1, 2, 3, 4, 5, 6, 7, 8] },
    };
    const { x, mass } = inputs(values, own);
    const { numbers } = await evaluate(
      [x.acrossHeads("mean"), mass.acrossHeads("max"), x.ungroup()],
      values,
      [2, 2, 2, 2],
    );
    expect(numbers).toEqual([
      [2, 3, 2, 3, 6, 7, 6, 7],
      [4, 4, 8, 8],
      [1, 2, 1, 2, 3, 4, 3, 4, 5, 6, 5, 6, 7, 8, 7, 8],
    ]);
  });

  it("norms through a matrix of each query head", async () => {
    const gram = { shape: [4, 2, 2], data: [1, 0, 0, 1, 4, 0, 0, 0, 0, 0, 0, 9, 1, 1, 1, 1] };
    const values = { x: { shape: [2, 2, 2], data: [3, 4, 1, -1, 2, 1, 99, 99] }, gram };
    const { x } = inputs(values, counts);
    const matrices = input("gram", [4, 2, 2], counts);
    const { numbers } = await evaluate([through(x!, matrices), through(x!.ungroup(), matrices)], values, [2, 1]);
    expect(round(numbers[0]!)).toEqual(round([5, Math.SQRT2, 6, 2, 3, 0, 3, 0]));
    expect(numbers[1]).toEqual(numbers[0]);
  });

  it("H2O: the sum of what was and the sum of the group", async () => {
    const values = {
      mass: { shape: [4, 2], data: [1, 2, 3, 4, 5, 6, 7, 8] },
      total: { shape: [2, 2], data: [10, 20, 30, 40] },
    };
    const { mass, total } = inputs(values, counts);
    const { numbers } = await evaluate(
      [total.add(mass.group("sum")), mass.group("max"), mass.group("min")],
      values,
      [2, 2],
    );
    expect(numbers).toEqual([
      [14, 26, 42, 54],
      [3, 4, 7, 8],
      [1, 2, 5, 6],
    ]);
  });

  it("KeyDiff: keys unlike the mean of the real rows' directions", async () => {
    const values = { keys: { shape: [2, 3, 2], data: [3, 4, 0, 2, 5, 0, 1, 0, 0, 7, 99, 99] } };
    const { keys } = inputs(values, counts);
    const unit = keys.div(keys.norm("size"));
    const score = unit.mul(unit.mean("rows")).sum("size").neg();
    const { numbers } = await evaluate([score], values, [3, 2]);
    // Head 0: directions (.6, .8), (0, 1), (1, 0), their mean (1.6, 1.8) / 3. Head 1: (1, 0), (0, 1), mean (.5, .5).
    expect(round(numbers[0]!.slice(0, 5))).toEqual(round([-2.4 / 3, -1.8 / 3, -1.6 / 3, -0.5, -0.5]));
  });

  it("rows against keys: weights of rows, from either side", async () => {
    const values = {
      keys: { shape: [2, 2, 2], data: [1, 2, 3, 4, 5, 6, 7, 8] },
      weight: { shape: [2, 2], data: [1, 10, 100, 1000] },
    };
    const { keys, weight } = inputs(values, counts);
    const { numbers } = await evaluate(
      [keys.mul(weight), weight.sub(keys), weight.gt(10).where(keys, weight)],
      values,
      [2, 2],
    );
    expect(numbers).toEqual([
      [1, 2, 30, 40, 500, 600, 7000, 8000],
      [0, -1, 7, 6, 95, 94, 993, 992],
      [1, 1, 10, 10, 5, 6, 7, 8],
    ]);
  });

  it("StreamingLLM: sinks and the newest stay, the rest by position", async () => {
    const values = {
      positions: { shape: [2, 3], data: [0, 7, 9, 4, 0, 5] },
      age: { shape: [2, 3], data: [9, 2, 0, 5, 9, 4] },
    };
    const { positions, age } = inputs(values, counts);
    const stays = positions.lt(1).or(age.lt(1)).and(positions.eq(100).not());
    const { numbers } = await evaluate([stays.where(inf, positions), stays.where(1, -1)], values, [3, 3]);
    expect(numbers).toEqual([
      [inf, 7, inf, 4, inf, 5],
      [1, -1, 1, -1, 1, -1],
    ]);
  });

  it("random: a hash of position and head", async () => {
    const values = { positions: { shape: [2, 2], data: [5, 6, 5, 6] } };
    const { numbers } = await evaluate([inputs(values, counts).positions.hash(3)], values, [2, 2]);
    expect(numbers[0]).toEqual([randomUniform(3, 5), randomUniform(3, 6), randomUniform(4, 5), randomUniform(4, 6)]);
  });

  it("computes a node once, however many use it", async () => {
    const values = { x: { shape: [2, 2], data: [1, 2, 3, 4] } };
    const next = inputs(values, counts).x.add(1);
    const { numbers, dispatches } = await evaluate([next.mul(next), next], values, [2, 2]);
    expect(numbers).toEqual([
      [4, 9, 16, 25],
      [2, 3, 4, 5],
    ]);
    expect(dispatches).toBe(2);
  });

  it("an output that is an input stays where it is", async () => {
    const values = { x: { shape: [2, 2], data: [1, 2, 3, 4] } };
    const { x } = inputs(values, counts);
    const { numbers, temporary } = await evaluate([x, x.avgPool(1)], values, [2, 2]);
    expect(numbers).toEqual([values.x.data, values.x.data]);
    expect(temporary).toBe(0);
  });

  it("what is not bound is an error that names it", async () => {
    const { x } = inputs({ x: { shape: [2, 2], data: [] } }, counts);
    const backend = reference();
    const length = { buffer: backend.allocate(8, "test"), offset: 0 };
    const allocator = { allocate: (bytes: number) => backend.allocate(bytes, "test"), free: () => {} };
    await expect(compile(backend, [x.neg()], { inputs: {}, length }, allocator)).rejects.toThrow(ShapeError);
    await expect(compile(backend, [x.neg()], { inputs: {}, length }, allocator)).rejects.toThrow(
      /reads "x", which is not bound/,
    );
  });
});

describe("temporaries", () => {
  const values = { a: { shape: [2, 3], data: [1, -2, 3, 4, 5, -6] }, b: { shape: [2, 3], data: [7, 8, 9, 1, 2, 3] } };
  const lengths = [3, 3];

  it("are used again along a chain", async () => {
    const { a } = inputs(values, counts);
    let chain = a;
    for (let i = 0; i < 20; i++) chain = chain.add(1);
    const { numbers, temporary } = await evaluate([chain], values, lengths);
    expect(numbers[0]).toEqual(values.a.data.map((x) => x + 20));
    expect(temporary).toBe(2 * 24);
  });

  it("of any expression hold what they should: 200 random ones", async () => {
    for (let seed = 1; seed <= 200; seed++) {
      let state = seed;
      const int = (below: number) => Math.floor(randomUniform(seed, state++) * below);
      const { a, b } = inputs(values, counts);
      // Each node beside its numbers, computed here.
      const pool: (readonly [Node, readonly number[]])[] = [
        [a, values.a.data],
        [b, values.b.data],
      ];
      const pick = () => pool[int(pool.length)]!;
      for (let i = 0; i < 25; i++) {
        const [x, xs] = pick();
        const [y, ys] = pick();
        const both = (f: (p: number, q: number) => number) => xs.map((p, at) => Math.fround(f(p, ys[at]!)));
        const most = (head: number) => Math.max(...xs.slice(3 * head, 3 * head + 3));
        const made: readonly (readonly [Node, readonly number[]])[] = [
          [x.add(y), both((p, q) => p + q)],
          [x.sub(y), both((p, q) => p - q)],
          [x.maximum(y), both(Math.max)],
          [x.mul(0.5), xs.map((p) => Math.fround(p * 0.5))],
          [x.neg(), xs.map((p) => -p)],
          [x.lt(y).where(x, y), both(Math.min)],
          [x.abs(), xs.map(Math.abs)],
          [x.add(x.max("rows")), xs.map((p, at) => Math.fround(p + most(Math.floor(at / 3))))],
        ];
        pool.push(made[int(made.length)]!);
      }
      const wanted = [pool.at(-1)!, pick(), pick()];
      const { numbers } = await evaluate(
        wanted.map(([node]) => node),
        values,
        lengths,
      );
      const plus = (list: readonly number[]) => list.map((x) => x + 0);
      expect(numbers.map(plus), `seed ${seed}`).toEqual(wanted.map(([, list]) => plus(list)));
    }
  });
});
