import { cpu } from "@ziggurat/cpu";
import { loadModel, Session } from "@ziggurat/runtime";
import { everyPolicy } from "./policies.js";
import { pebbleShape, randomModel, smol } from "./random-model.js";
import { median, randomIds, table } from "./report.js";

/** What each policy adds to prefill: whole prefills beside full ones, interleaved. Random weights: speed only. */
export async function cost({
  threads,
  runs,
  tokens,
  shape,
}: {
  threads: number;
  runs: number;
  tokens: number;
  shape: "pebble" | "smol";
}): Promise<void> {
  const backend = await cpu({ threads });
  const chosen = shape === "smol" ? smol : pebbleShape;
  const model = await loadModel(randomModel(chosen), { backend, weights: "q8_0" });
  const ids = randomIds(tokens, model.facts.vocabularySize, 2);
  const policies = everyPolicy(Math.ceil(tokens * 0.12));
  const seconds = policies.map((): number[] => []);
  for (let run = 0; run < runs; run++) {
    for (const [index, policy] of policies.entries()) {
      const session = new Session({ model, policy });
      const started = performance.now();
      await session.read(ids);
      seconds[index]!.push((performance.now() - started) / 1000);
      session.close();
    }
  }
  const full = median(seconds[0]!);
  console.log(`${chosen.name}, q8_0, ${tokens} tokens, ${threads} threads, median of ${runs} interleaved prefills`);
  console.log(
    table([
      ["policy", "prefill s", "of full", "tokens/s"],
      ...policies.map(({ name }, index) => {
        const time = median(seconds[index]!);
        return [name, time.toFixed(3), `${(time / full).toFixed(3)} x`, (tokens / time).toFixed(0)];
      }),
    ]),
  );
  await backend.dispose();
}
