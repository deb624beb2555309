import { randomUniform } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";
import "./matchers.js";
import { runOp } from "./run-op.js";

// The specification itself: answers worked out by hand.

const { exp, log, sqrt, tanh, PI } = Math;

describe("ops of the model", () => {
  it("embed scales a row; ids outside read row 0", async () => {
    const { out } = await runOp(
      "embed",
      { tokens: 3, vocabulary: 2, width: 2, weight: "f32", scale: 2 },
      { ids: [1, -1, 2], table: [1, 2, 3, 4] },
    );
    expect(out).toEqual([6, 8, 2, 4, 2, 4]);
  });

  it("rmsNorm divides by the root of the mean square", async () => {
    const { out } = await runOp("rmsNorm", { rows: 2, width: 2, epsilon: 0.5 }, { x: [3, 4, 0, 0], weight: [1, 10] });
    expect(out).toBeAllclose([3 / sqrt(13), 40 / sqrt(13), 0, 0], { tolerance: 1e-7 });
  });

  it("linear multiplies by rows of the weight and adds bias and residual", async () => {
    const given = { x: [1, 2, 3, 4], weight: [1, 0, 0, 1, 1, -1], bias: [100, 200, 300], residual: [1, 2, 3, 4, 5, 6] };
    const { out } = await runOp(
      "linear",
      { rows: 2, width: 2, out: 3, weight: "f32", bias: true, residual: true },
      given,
    );
    expect(out).toEqual([102, 204, 302, 107, 209, 305]);
  });

  it("gatedActivation gates the second half by the first", async () => {
    const silu = await runOp("gatedActivation", { rows: 1, width: 2, kind: "silu" }, { x: [0, 1, 5, 3] });
    expect(silu.out).toBeAllclose([0, 3 / (1 + exp(-1))], { tolerance: 1e-7 });
    const gelu = await runOp("gatedActivation", { rows: 1, width: 2, kind: "gelu" }, { x: [-1, 1, 2, 3] });
    const half = tanh(sqrt(2 / PI) * 1.044715);
    expect(gelu.out).toBeAllclose([-(1 - half), 1.5 * (1 + half)], { tolerance: 1e-7 });
  });

  it("rope turns pairs (j, j + rotary / 2) by the position of the KV head, clamped to the table", async () => {
    // Two positions: none, and a quarter turn. Head size 3, of which 2 turn. Two query heads, one KV head, two tokens.
    const spec = { sequences: 1, tokens: 2, queryHeads: 2, kvHeads: 1, headSize: 3, rotary: 2, tableRows: 2 };
    const token = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    const given = { qkv: [...token, ...token], table: [1, 0, 0, 1], base: [0] };
    const turned = [-2, 1, 3, -5, 4, 6];
    expect((await runOp("rope", spec, given)).qkv).toEqual([...token, ...turned, 7, 8, 9, 10, 11, 12]);
    expect((await runOp("rope", { ...spec, keys: true }, given)).qkv).toEqual([
      ...token,
      ...turned,
      -8,
      7,
      9,
      10,
      11,
      12,
    ]);
    const clamped = await runOp("rope", { ...spec, keys: true }, { ...given, base: [-1] });
    expect(clamped.qkv).toEqual([...token, ...token]);
    const beyond = await runOp("rope", spec, { ...given, base: [7] });
    expect(beyond.qkv).toEqual([...turned, ...token.slice(6), ...turned, ...token.slice(6)]);
  });

  it("logProbability is a logit less the log-sum-exp; -Infinity outside", async () => {
    const logits = [0, log(3), 1000, 1000, 0, 0];
    const { out } = await runOp("logProbability", { rows: 3, vocabulary: 2 }, { logits, ids: [1, 0, 2] });
    expect(out).toBeAllclose([log(0.75), log(0.5), Number.NEGATIVE_INFINITY], { tolerance: 1e-7 });
  });
});

describe("attention", () => {
  // One KV head of size 1 in rows 2 to 4 of an arena; queries of 1 make the logits those keys.
  const keys = [9, 9, log(1), log(2), log(3), 9];
  const values = [9, 9, 10, 20, 60, 9];
  const heads = { queryHeads: 1, kvHeads: 1, headSize: 1, arenaRows: 6, kv: "f32" as const, scale: 1, softcap: 0 };
  const places = { keys, values, offset: [2] };

  it("sees rows of before and itself, causally", async () => {
    const given = { ...places, qkv: [1, 0, 0, 1, 0, 0], length: [1] };
    const { out, lse } = await runOp("attention", { ...heads, tokens: 2 }, given);
    expect(out).toBeAllclose([(10 + 2 * 20) / 3, (10 + 2 * 20 + 3 * 60) / 6], { tolerance: 1e-6 });
    expect(lse).toBeAllclose([log(3), log(6)], { tolerance: 1e-6 });
  });

  it("sees only the newest rows within a window", async () => {
    const given = { ...places, qkv: [1, 0, 0, 1, 0, 0], length: [1] };
    expect((await runOp("attention", { ...heads, tokens: 2, window: 2 }, given)).out).toBeAllclose([50 / 3, 220 / 5], {
      tolerance: 1e-6,
    });
    expect((await runOp("attention", { ...heads, tokens: 2, window: 1 }, given)).out).toBeAllclose([20, 60], {
      tolerance: 1e-6,
    });
  });

  it("scales, then caps the logits", async () => {
    const given = { ...places, qkv: [1, 0, 0], length: [1] };
    const { lse } = await runOp("attention", { ...heads, tokens: 1, scale: 3, softcap: 2 }, given);
    expect(lse).toBeAllclose([log(1 + exp(2 * tanh((3 * log(2)) / 2)))], { tolerance: 1e-6 });
  });

  it("decodes several sequences; one that has ended sees its rows without the newest", async () => {
    const given = {
      ...places,
      qkv: [1, 0, 0, 1, 0, 0, 1, 0, 0],
      offset: [2, 2, 2],
      length: [2, 2, 0],
      ended: [0, 1, 1],
    };
    const { out, lse } = await runOp("decodeAttention", { ...heads, sequences: 3, capacity: 3 }, given);
    expect(out).toBeAllclose([230 / 6, 50 / 3, 0], { tolerance: 1e-6 });
    expect(lse).toBeAllclose([log(6), log(3), Number.NEGATIVE_INFINITY], { tolerance: 1e-6 });
  });

  it("gives query heads their KV head: 0 and 1 the first, 2 and 3 the second", async () => {
    const spec = { ...heads, queryHeads: 4, kvHeads: 2, sequences: 1, capacity: 1, arenaRows: 2 };
    const given = {
      qkv: [1, 1, 1, 1, 0, 0, 0, 0],
      keys: [0, 0],
      values: [5, 7],
      offset: [1, 0],
      length: [0, 0],
      ended: [0],
    };
    expect((await runOp("decodeAttention", spec, given)).out).toEqual([7, 7, 5, 5]);
  });

  it("turns keys to their rank where keys lie unrotated", async () => {
    // Ranks 1 (a quarter turn) and 0: key (1, 0) becomes (0, 1), and (0, 2) stays.
    const spec = {
      ...heads,
      headSize: 2,
      arenaRows: 2,
      sequences: 1,
      capacity: 2,
      slot: true,
      planes: 2,
      rotary: 2,
      tableRows: 2,
    };
    const given = {
      qkv: [0, 1, 0, 0, 0, 0],
      keys: [1, 0, 0, 2],
      values: [1, 0, 0, 1],
      cells: [50, 60, 1, 0],
      table: [1, 0, 0, 1],
    };
    const { out, lse } = await runOp("decodeAttention", spec, { ...given, offset: [0], length: [1], ended: [0] });
    expect(lse).toBeAllclose([log(exp(1) + exp(2))], { tolerance: 1e-6 });
    expect(out).toBeAllclose([1 / (1 + exp(1)), exp(1) / (1 + exp(1))], { tolerance: 1e-6 });
    const watch = {
      qkv: [0, 1, 0, 0, 0, 0],
      keys: given.keys,
      cells: given.cells,
      table: given.table,
      lse: lse!,
      offset: [0],
      length: [1],
      ended: [0],
    };
    const { mass } = await runOp("watch", { ...spec, tokens: 1 }, { ...watch, mass: [0, 0] });
    expect(mass).toBeAllclose([1 / (1 + exp(1)), exp(1) / (1 + exp(1))], { tolerance: 1e-6 });
  });

  it("watch adds the column sums of the full softmax, of the queries from `from` on", async () => {
    // Two past rows and three queries: logits q_i x k_j over rows j <= 2 + i.
    const k = [0.5, -1, 2, 0, 1];
    const q = [1, -2, 3];
    const softmax = q.map((query, i) => {
      const seen = k.slice(0, 3 + i).map((key) => exp(query * key));
      const total = seen.reduce((a, b) => a + b, 0);
      return k.map((_, j) => (seen[j] ?? 0) / total);
    });
    const columns = (rows: number[][]) => k.map((_, j) => rows.reduce((all, row) => all + row[j]!, 0));
    const qkv = q.flatMap((query) => [query, 0, 0]);
    const places = { keys: k, offset: [0], length: [2] };
    const sizes = { ...heads, arenaRows: 5, tokens: 3 };
    const { lse } = await runOp("attention", sizes, { ...places, qkv, values: k });
    const watched = { ...places, qkv, lse: lse!, ended: [0] };
    const spec = { ...sizes, sequences: 1, capacity: 6 };
    const all = await runOp("watch", spec, { ...watched, mass: [0, 0, 0, 0, 0, 7] });
    expect(all.mass).toBeAllclose([...columns(softmax), 7], { tolerance: 1e-6 });
    expect(all.mass!.slice(0, 5).reduce((a, b) => a + b, 0)).toBeCloseTo(3, 5);
    const last = await runOp("watch", { ...spec, from: 2 }, { ...watched, mass: [1, 0, 0, 0, 0, 0] });
    const [first, ...others] = softmax[2]!;
    expect(last.mass).toBeAllclose([1 + first!, ...others, 0], { tolerance: 1e-6 });
    const ended = await runOp("watch", spec, { ...watched, ended: [1], mass: [1, 2, 3, 4, 5, 6] });
    expect(ended.mass).toEqual([1, 2, 3, 4, 5, 6]);
  });
});

describe("sample", () => {
  const base = { seeds: [5], stops: [-1, 3], steps: [6], ended: [0], tokens: [9], ids: [9, 9, 9, 9] };
  const spec = { sequences: 1, vocabulary: 4, ring: 4, stopCount: 2 };
  const draw = async (logits: readonly number[], params: readonly number[], step = 6, history?: readonly number[]) => {
    const given = { ...base, logits, params, steps: [step], ...(history ? { history } : {}) };
    const { tokens } = await runOp("sample", { ...spec, history: history !== undefined }, given);
    return tokens![0]!;
  };
  /** How often each token comes in 2,000 steps. */
  const shares = async (logits: readonly number[], params: readonly number[]) => {
    const counts = [0, 0, 0, 0];
    for (let step = 0; step < 2000; step++) counts[await draw(logits, params, step)]!++;
    return counts.map((count) => count / 2000);
  };
  const p = [0.1, 0.4, 0.3, 0.2];
  const logits = p.map((x) => log(x));

  it("takes the greatest at temperature 0, the lower of equals, and keeps the books", async () => {
    const given = { ...base, logits: [1, 3, 0, 3], params: [0, 0, 1, 0, 1], history: [0, 2, 0, 0] };
    const result = await runOp("sample", { ...spec, history: true }, given);
    expect(result).toEqual({ tokens: [1], ids: [9, 9, 1, 9], history: [0, 3, 0, 0], steps: [7], ended: [0] });
    const stopped = await runOp("sample", spec, { ...base, logits: [0, 0, 0, 1], params: [0, 0, 1, 0, 1] });
    expect(stopped).toEqual({ tokens: [3], ids: [9, 9, 3, 9], steps: [7], ended: [1] });
    const ended = await runOp("sample", spec, { ...base, ended: [1], logits: [1, 0, 0, 0], params: [0, 0, 1, 0, 1] });
    expect(ended).toEqual({ tokens: [9], ids: [9, 9, 9, 9], steps: [6], ended: [1] });
  });

  it("is the first id whose running sum exceeds u", async () => {
    const bounds = [0.1, 0.5, 0.8, 1];
    for (let step = 0; step < 40; step++) {
      expect(await draw(logits, [1, 0, 1, 0, 1], step)).toBe(
        bounds.findIndex((bound) => bound > randomUniform(5, step)),
      );
    }
  });

  it("follows softmax(logits / temperature)", async () => {
    const close = { tolerance: 0.02 };
    expect(await shares(logits, [1, 0, 1, 0, 1])).toBeAllclose(p, close);
    const squares = p.map((x) => x * x);
    const total = squares.reduce((a, b) => a + b, 0);
    expect(await shares(logits, [0.5, 0, 1, 0, 1])).toBeAllclose(
      squares.map((x) => x / total),
      close,
    );
  });

  it("cuts to the top k, then the top p of those, then min p", async () => {
    const close = { tolerance: 0.02 };
    expect(await shares(logits, [1, 2, 1, 0, 1])).toBeAllclose([0, 4 / 7, 3 / 7, 0], close);
    // 0.4 does not reach 0.5; 0.4 + 0.3 does.
    expect(await shares(logits, [1, 0, 0.5, 0, 1])).toBeAllclose([0, 4 / 7, 3 / 7, 0], close);
    // Of the top 2, renormalised, the first alone reaches 0.5.
    expect(await shares(logits, [1, 2, 0.5, 0, 1])).toEqual([0, 1, 0, 0]);
    // At least 0.45 x 0.4 = 0.18.
    expect(await shares(logits, [1, 0, 1, 0.45, 1])).toBeAllclose([0, 4 / 9, 3 / 9, 2 / 9], close);
    // Ties at the cut go to the lower id.
    expect(await shares([0, 0, 0, 0], [1, 2, 1, 0, 1])).toBeAllclose([0.5, 0.5, 0, 0], close);
  });

  it("divides positive logits of earlier tokens by the penalty, multiplies negative ones", async () => {
    expect(await draw([2, 1.5, 0, 0], [0, 0, 1, 0, 1.4], 6, [1, 0, 0, 0])).toBe(1);
    expect(await draw([2, 1.5, 0, 0], [0, 0, 1, 0, 1.3], 6, [1, 0, 0, 0])).toBe(0);
    expect(await draw([-1, -1.5, -9, -9], [0, 0, 1, 0, 1.6], 6, [1, 0, 0, 0])).toBe(1);
    expect(await draw([-1, -1.5, -9, -9], [0, 0, 1, 0, 1.6], 6, [0, 0, 0, 0])).toBe(0);
  });

  it("draws from a hash whose values are fixed", () => {
    // Worked out apart, with integers of any size.
    expect(
      [randomUniform(0, 0), randomUniform(1, 2), randomUniform(12345, 678), randomUniform(-1, 2 ** 32 - 1)].map(
        (u) => u * 2 ** 24,
      ),
    ).toEqual([11431808, 7161672, 14667217, 13258055]);
    expect(randomUniform(2 ** 32 + 5, 7)).toBe(randomUniform(5, 7));
    expect(randomUniform(-1, -1)).toBe(randomUniform(2 ** 32 - 1, 2 ** 32 - 1));
  });
});
