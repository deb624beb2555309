import { tensorsOf, vectorCases } from "@ziggurat/bench-kit/fixtures";
import { PolicyError } from "@ziggurat/policy";
import { restkv } from "@ziggurat/restkv";
import { reference } from "@ziggurat/tensor";
import { runPolicy } from "@ziggurat/testing";
import { describe, expect, test } from "vitest";

interface Params {
  readonly window: number;
  readonly keep: number;
  readonly kernel: number;
  readonly alpha: number;
  readonly tau: number;
  readonly ema: boolean;
  readonly level: "kv" | "query";
}

const cases = vectorCases<Params, { kept: number[][][] }>("rest-kv", "ReST-KV").filter(
  ({ params: { level, tau } }) => level === "kv" && tau === 1,
);

describe("keeps the rows that the authors' scores say, averaged over the query heads of a KV head", () => {
  test.each(cases)("$id", async ({ inputs, params: { window, keep, kernel, alpha, ema }, expected: { kept } }) => {
    const { queryHeads, kvHeads, headSize } = inputs;
    const { layers, output } = tensorsOf(inputs);
    const policy = restkv({ window, keep, kernel, alpha, average: ema ? "moving" : "mean" });
    for (const tile of [64, 7]) {
      const run = { policy, backend: reference(), queryHeads, kvHeads, headSize, layers, output, tile };
      expect((await runPolicy(run)).prefill.kept, `tiles of ${tile}`).toEqual(kept);
    }
  });

  test("in at least three cases", () => expect(cases.length).toBeGreaterThanOrEqual(3));
});

test("a run without the output projection says that it is missing", async () => {
  const [{ inputs }] = cases as [(typeof cases)[number]];
  const { queryHeads, kvHeads, headSize } = inputs;
  const run = { policy: restkv({ keep: 40 }), backend: reference(), queryHeads, kvHeads, headSize };
  await expect(runPolicy({ ...run, layers: tensorsOf(inputs).layers })).rejects.toThrow(
    "restkv: `through` needs the output projection of layer 0",
  );
});

test.each([
  [{ keep: 32 }, "restkv: keep is 32; it must be more than window, 32"],
  [{ keep: 64, kernel: 4 }, "restkv: kernel is 4; it must be odd, so that a row lies in the middle of its neighbours"],
  [{ keep: 64, window: 2000 }, "restkv: window is 2000; it must be a whole number from 1 to 1024"],
  [{ keep: 64, alpha: 1.01 }, "restkv: alpha is 1.01; it must be a number from 0 to 1"],
])("refuses %o", (options, message) => {
  expect(() => restkv(options)).toThrow(new PolicyError(message));
});
