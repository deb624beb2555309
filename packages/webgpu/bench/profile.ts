import { full, type Policy } from "@ziggurat/policy";
import type { Model } from "@ziggurat/runtime";
import { generateEach } from "@ziggurat/runtime/evaluate";
import type { GpuProfile, Timing } from "../src/profile.js";

/** Decoded tokens of a profile. */
const tokens = 16;

/**
 * Prints the time of each op in a prefill and in a decode step. Dispatches run in separate passes, so their sum is more
 * than the time without a profile.
 */
export async function profileModel(
  model: Model,
  profile: GpuProfile,
  prompt: readonly number[],
  policy: Policy = full(),
): Promise<void> {
  const run = async (maxTokens: number): Promise<readonly Timing[]> => {
    profile.reset();
    for await (const _ of generateEach({ model, policies: [policy], prompt, maxTokens, ignoreEnd: true }));
    await model.backend.synchronise();
    return profile.timings;
  };
  await run(1);
  const prefill = await run(1);
  const both = await run(1 + tokens);
  console.log(`  ${policy.name}: prefill by op`);
  print(prefill, 1);
  const decode = both.map(({ op, dispatches, microseconds }) => {
    const before = prefill.find((timing) => timing.op === op);
    return {
      op,
      dispatches: dispatches - (before?.dispatches ?? 0),
      microseconds: microseconds - (before?.microseconds ?? 0),
    };
  });
  console.log(`  ${policy.name}: a decode step by op`);
  print(
    decode.filter(({ dispatches }) => dispatches >= tokens),
    tokens,
  );
}

function print(timings: readonly Timing[], steps: number): void {
  const all = { op: "all", dispatches: 0, microseconds: 0 };
  for (const { dispatches, microseconds } of timings) {
    all.dispatches += dispatches;
    all.microseconds += microseconds;
  }
  for (const { op, dispatches, microseconds } of [...timings, all]) {
    if (microseconds < 0.002 * all.microseconds) continue;
    const each = (microseconds / dispatches).toFixed(1).padStart(9);
    const count = (dispatches / steps).toFixed(0).padStart(6);
    const step = (microseconds / steps).toFixed(0).padStart(9);
    console.log(`    ${op.padEnd(16)} ${count} dispatches of ${each} us  ${step} us`);
  }
}
