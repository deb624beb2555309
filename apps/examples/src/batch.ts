// Two sequences, each under its own policy, decoded together.
import { cpu } from "@ziggurat/cpu";
import { h2o } from "@ziggurat/h2o";
import { pebble } from "@ziggurat/pebble";
import { generateBatch, loadModel } from "@ziggurat/runtime";
import { snapkv } from "@ziggurat/snapkv";

const model = await loadModel(pebble(), { backend: await cpu() });
const walk = "Anna went to the market, bought some bread and walked home along the river.\n".repeat(10);
const ask = (question: string) => [
  { role: "user", content: `Bruno works as a gardener.\nAlice lives in Lisbon.\n${walk}${question}` },
];

const answers = generateBatch({
  model,
  requests: [
    { policy: snapkv({ keep: 96 }), prompt: ask("Where does Alice live?") },
    { policy: h2o({ keep: 160 }), prompt: ask("What is the job of Bruno?") },
  ],
});
for await (const { sequence, text } of answers) console.log(`${sequence} writes ${text}`);
for (const { policy, text, cache } of await answers.result)
  console.log(`${policy.name}: ${text} from ${cache.rows[0]} rows a layer`);
