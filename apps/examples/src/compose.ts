// A policy is four parts, and a new mixture of them is a new policy: SnapKV's scorer under a pyramid of budgets, with
// the opening of the text always kept, compressed after the prompt and again after every 64 tokens of the answer.
import { cpu } from "@ziggurat/cpu";
import { pebble } from "@ziggurat/pebble";
import { afterPrefill, anyOf, every, last, type Policy, pin } from "@ziggurat/policy";
import { pyramid } from "@ziggurat/pyramid";
import { generate, loadModel } from "@ziggurat/runtime";
import { observationWindow } from "@ziggurat/snapkv";

const mixture: Policy = {
  name: "mixture",
  budget: pyramid(96),
  score: observationWindow({ window: 16, pooling: "average", kernel: 5 }),
  protect: anyOf(pin(0, 12), last(16)),
  schedule: (step) => afterPrefill()(step) || every(64)(step),
};

const model = await loadModel(pebble(), { backend: await cpu() });
const walk = "Anna went to the market, bought some bread and walked home along the river.\n".repeat(10);
const content = `Bruno works as a gardener.\n${walk}What is the job of Bruno?`;
for (const policy of [mixture, { ...mixture, name: "gentle slope", budget: pyramid(96, { beta: 2 }) }]) {
  const { text, cache } = await generate({ model, policy, prompt: [{ role: "user", content }] }).result;
  console.log(`${policy.name}: ${text} from ${cache.rows.join(" ")} rows`);
}
