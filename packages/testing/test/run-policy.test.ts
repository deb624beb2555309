import { h2o } from "@ziggurat/h2o";
import { snapkv } from "@ziggurat/snapkv";
import { streaming } from "@ziggurat/streaming";
import { reference } from "@ziggurat/tensor";
import { runPolicy } from "@ziggurat/testing";
import { expect, test } from "vitest";

test("smoke", async () => {
  let s = 1;
  const rand = (n: number) => Float32Array.from({ length: n }, () => ((s = (s * 1664525 + 1013904223) >>> 0) / 2 ** 32 - 0.5) * 5);
  const raw = (t: number) => ({ q: rand(4 * t * 8), k: rand(2 * t * 8), v: rand(2 * t * 8) });
  const layers = [raw(40), raw(40)];
  const steps = Array.from({ length: 5 }, () => [raw(1), raw(1)]);
  const common = { queryHeads: 4, kvHeads: 2, headSize: 8, layers, steps, ropeTheta: 10000, tile: 16 };
  for (const policy of [snapkv({ keep: 20, window: 6, kernel: 5 }), h2o({ keep: 12, recent: 4 }), streaming({ keep: 10, sinks: 2 })]) {
    const backend = reference();
    const result = await runPolicy({ policy, backend, ...common });
    console.log(policy.name, JSON.stringify(result.prefill.kept), JSON.stringify(result.steps.at(-1)!.kept));
    expect(backend.memory().live).toBe(0);
  }
});
