import { draw, mulberry32, selection, softmax, streamingOps } from "@ziggurat/bench-kit/fixtures";
import { checkPolicy, PolicyError, sinksAndRecent } from "@ziggurat/policy";
import { streaming } from "@ziggurat/streaming";
import { reference } from "@ziggurat/tensor";
import { runPolicy } from "@ziggurat/testing";
import { describe, expect, test } from "vitest";

const range = (start: number, end: number) => Array.from({ length: end - start }, (_, i) => start + i);
const heads = { queryHeads: 4, kvHeads: 2, headSize: 8 };
const theta = 10_000;

/** Reads `prompt` random tokens at once and `steps` one by one. */
function stream(policy: ReturnType<typeof streaming>, prompt: number, steps: number, seed = 5) {
  const next = mulberry32(seed);
  const raw = (tokens: number) => ({
    q: draw(next, 32 * tokens, 3),
    k: draw(next, 16 * tokens, 3),
    v: draw(next, 16 * tokens, 1),
  });
  const layers = [raw(prompt)];
  const later = Array.from({ length: steps }, () => [raw(1)]);
  const run = runPolicy({ policy, backend: reference(), ...heads, layers, steps: later, ropeTheta: theta });
  return { layers, later, run };
}

describe("the authors' StartRecentKVCache", () => {
  const { call, evict_for_space } = streamingOps();

  test.each(call)("called with $seq_len rows", async ({ seq_len, start, recent, kept }) => {
    const policy = streaming({ sinks: start, keep: start + recent });
    const atOnce = await stream(policy, seq_len, 0).run;
    expect(atOnce.prefill.kept).toEqual([[kept, kept]]);
    const oneByOne = await stream(policy, 1, seq_len - 1).run;
    expect(oneByOne.steps.at(-1)!.kept).toEqual([[kept, kept]]);
  });

  // They make room before a message is read, this evicts afterwards: what is left is the same.
  test.each(evict_for_space)(
    "evict_for_space($coming) with $seq_len rows",
    async ({ seq_len, coming, start, recent, kept }) => {
      const policy = streaming({ sinks: start, keep: start + recent });
      const after = [...kept, ...range(seq_len, seq_len + coming!)];
      expect((await stream(policy, seq_len + coming!, 0).run).prefill.kept).toEqual([[after, after]]);
    },
  );
});

test.each(["streamingllm_kvcf", "streamingllm_kvcf_longbench"])(
  "rows of %s, which keeps text positions and is called a control here",
  async (name) => {
    const { inputs, raw, kvHead } = selection();
    const entry = raw<{ kept: number[]; window?: number }>(name);
    const sinks = inputs.capacity - (entry.window ?? inputs.window);
    const { layer, ...shape } = kvHead;
    const options = { sinks, keep: inputs.capacity };
    for (const policy of [sinksAndRecent(options), streaming(options)]) {
      const { prefill } = await runPolicy({
        policy,
        backend: reference(),
        ...shape,
        layers: [layer],
        ropeTheta: theta,
      });
      expect(prefill.kept).toEqual([[entry.kept, entry.kept]]);
    }
  },
);

test("the window rolls: after every token the sinks and the newest rows are there", async () => {
  const { steps, prefill } = await stream(streaming({ sinks: 3, keep: 8 }), 6, 30).run;
  expect(prefill.kept[0]![0]).toEqual(range(0, 6));
  steps.forEach(({ kept }, step) => {
    const seen = 7 + step;
    const expected = seen <= 8 ? range(0, seen) : [...range(0, 3), ...range(seen - 5, seen)];
    expect(kept).toEqual([[expected, expected]]);
  });
});

test("keys and queries are rotated by their rank in the cache", async () => {
  const { run, layers, later } = stream(streaming({ sinks: 2, keep: 7 }), 9, 12);
  const { prefill, steps } = await run;
  const { queryHeads, kvHeads, headSize } = heads;
  const rotate = (row: ArrayLike<number>, position: number) => {
    const half = headSize / 2;
    return Array.from({ length: headSize }, (_, d) => {
      const angle = position * theta ** (-(d % half) / half);
      const other = d < half ? -row[d + half]! : row[d - half]!;
      return row[d]! * Math.cos(angle) + other * Math.sin(angle);
    });
  };
  const rowOf = (name: "k" | "v", head: number, position: number) => {
    const [numbers, tokens, token] =
      position < 9 ? [layers[0]![name], 9, position] : [later[position - 9]![0]![name], 1, 0];
    return numbers.subarray((head * tokens + token) * headSize, (head * tokens + token + 1) * headSize);
  };
  let before = prefill.kept;
  steps.forEach(({ kept, outputs }, step) => {
    for (let head = 0; head < queryHeads; head++) {
      const kvHead = Math.floor(head / (queryHeads / kvHeads));
      // The new token sees all rows that were kept, and itself, before any is evicted.
      const rows = [...before[0]![kvHead]!, 9 + step];
      const query = rotate(later[step]![0]!.q.subarray(head * headSize, (head + 1) * headSize), rows.length - 1);
      const weights = softmax(
        query,
        rows.map((position, rank) => rotate(rowOf("k", kvHead, position), rank)),
      );
      for (let d = 0; d < headSize; d++) {
        const value = rows.reduce((sum, position, i) => sum + weights[i]! * rowOf("v", kvHead, position)[d]!, 0);
        expect(outputs[0]![head * headSize + d], `step ${step}, head ${head}, number ${d}`).toBeCloseTo(value, 5);
      }
    }
    before = kept;
  });
  expect(before[0]![0]).toEqual([0, 1, 16, 17, 18, 19, 20]);
});

test.each<readonly [never, string]>([
  [{ keep: 4 } as never, "streaming: keep is 4; it must be more than sinks, 4"],
  [{ keep: 0 } as never, "streaming: keep is 0; it must be a whole number of at least 1"],
  [{ keep: Number.NaN } as never, "streaming: keep is NaN; it must be a whole number of at least 1"],
  [{ keep: 8, sinks: -1 } as never, "streaming: sinks is -1; it must be a whole number of at least 0"],
  [{ keep: 8, sinks: 1.5 } as never, "streaming: sinks is 1.5; it must be a whole number of at least 0"],
  [{ keep: 8, start_size: 4 } as never, 'streaming: no option is called "start_size"; there are keep, sinks'],
  [undefined as never, "streaming: options is undefined; it must be an object with keep, sinks"],
])("%# refuses %o", (options, message) => {
  expect(() => streaming(options)).toThrow(new PolicyError(message));
});

test("no sinks is a plain window", async () => {
  const policy = streaming({ sinks: 0, keep: 3 });
  checkPolicy(policy);
  expect((await stream(policy, 9, 1).run).steps[0]!.kept[0]).toEqual([
    [7, 8, 9],
    [7, 8, 9],
  ]);
});
