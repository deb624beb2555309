import { tensorsOf, vectorCases } from "@ziggurat/bench-kit/fixtures";
import { PolicyError } from "@ziggurat/policy";
import { keydiff, knorm, tova } from "@ziggurat/scorers";
import { reference } from "@ziggurat/tensor";
import { runPolicy } from "@ziggurat/testing";
import { describe, expect, test } from "vitest";

describe.each([
  ["tova", tova],
  ["knorm", knorm],
  ["keydiff", keydiff],
] as const)("%s keeps the rows that kvpress 0.5.5 keeps", (name, policy) => {
  test.each(vectorCases<{ keep: number }, { kept: number[][][] }>("small-scorers", `kvpress ${name}`))(
    "$id",
    async ({ inputs, params: { keep }, expected: { kept } }) => {
      const { queryHeads, kvHeads, headSize } = inputs;
      const { layers } = tensorsOf(inputs);
      const run = { policy: policy({ keep }), backend: reference(), queryHeads, kvHeads, headSize, layers };
      expect((await runPolicy(run)).prefill.kept).toEqual(kept);
    },
  );

  test("refuses a budget of nothing", () => {
    expect(() => policy({ keep: 0 })).toThrow(PolicyError);
    expect(() => policy({ keep: 0 })).toThrow(`${name}: keep is 0; it must be a whole number of at least 1`);
  });
});
