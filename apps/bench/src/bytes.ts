import { median, randomIds, table } from "@ziggurat/bench-kit";
import { Account, cacheBytes, planesOf, planTurn, scratchBytes } from "@ziggurat/cache";
import { cpu } from "@ziggurat/cpu";
import { pebble } from "@ziggurat/pebble";
import { generate, loadModel } from "@ziggurat/runtime";
import { everyPolicy } from "./policies.js";

const tokens = 8192;
const maxTokens = 32;

/** Measures the bytes of every policy's cache at 8,192 tokens beside the arithmetic, and those left after many runs. */
export async function bytes({ threads, runs }: { threads: number; runs: number }): Promise<void> {
  const backend = await cpu({ threads });
  const model = await loadModel(pebble(), { backend });
  const { cache: shape, vocabularySize } = model.facts;
  const prompt = randomIds(tokens, vocabularySize, 1);
  const rows = [
    [
      "policy, 12 % of 8,192",
      "cache",
      "expected",
      "room",
      "expected",
      "tables",
      "expected",
      "scratch peak",
      "expected",
      "exact",
    ],
  ];
  for (const policy of everyPolicy(Math.ceil(tokens * 0.12))) {
    const plan = planTurn(Account.empty(shape, policy), [tokens], maxTokens - 1);
    const expected = cacheBytes(shape, model.rowDType, [{ policy, plan }]);
    const { planes } = planesOf([policy]);
    const scratch = scratchBytes(shape, model.rowDType, plan.scratchRows, [
      { planes, slot: policy.positions === "slot" },
    ]);
    await backend.synchronise();
    const before = backend.memory().labels;
    backend.resetPeak();
    let live = { cache: 0, room: 0, tables: 0 };
    const answer = generate({ model, policy, prompt, maxTokens });
    for await (const _ of answer) {
      const now = backend.memory().labels;
      const of = (label: string) => (now[label]?.live ?? 0) - (before[label]?.live ?? 0);
      live = { cache: of("cache"), room: of("room"), tables: of("tables") };
    }
    const peak = (backend.memory().labels.scratch?.peak ?? 0) - (before.scratch?.live ?? 0);
    const exact =
      live.cache === expected.cache &&
      live.room === expected.room &&
      live.tables === expected.tables &&
      peak === scratch;
    rows.push([
      policy.name,
      ...[live.cache, expected.cache, live.room, expected.room, live.tables, expected.tables, peak, scratch].map(
        String,
      ),
      exact ? "yes" : "NO",
    ]);
  }
  console.log(table(rows));

  const settled = backend.memory().live;
  const times: number[] = [];
  const policies = everyPolicy(16 + 32);
  for (let run = 0; run < runs; run++) {
    const started = performance.now();
    await generate({ model, policy: policies[run % policies.length]!, prompt: prompt.slice(0, 64), maxTokens: 4 })
      .result;
    times.push(performance.now() - started);
  }
  console.log(
    `\nlive bytes after ${runs} generations: ${backend.memory().live}, before: ${settled}; weights ${model.weightBytes} (median ${median(times).toFixed(1)} ms each)`,
  );
  await backend.dispose();
}
