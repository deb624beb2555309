import { median, randomIds, table } from "@ziggurat/bench-kit";
import { Session } from "@ziggurat/runtime";
import { everyPolicy } from "./policies.js";
import { randomOnCpu, type Setting } from "./setting.js";

/** What each policy adds to prefill: whole prefills beside full ones, interleaved. Random weights: speed only. */
export async function cost(setting: Setting): Promise<void> {
  const { runs, tokens } = setting;
  const { model, title } = await randomOnCpu(setting);
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
  console.log(`${title}, median of ${runs} interleaved prefills`);
  console.log(
    table([
      ["policy", "prefill s", "of full", "tokens/s"],
      ...policies.map(({ name }, index) => {
        const time = median(seconds[index]!);
        return [name, time.toFixed(3), `${(time / full).toFixed(3)} x`, (tokens / time).toFixed(0)];
      }),
    ]),
  );
  await model.backend.dispose();
}
