import { cpu } from "@ziggurat/cpu";
import { pebble } from "@ziggurat/pebble";
import { pyramidkv } from "@ziggurat/pyramid";
import { generate, loadModel } from "@ziggurat/runtime";

const model = await loadModel(pebble(), { backend: await cpu() });
const walk = "Anna went to the market, bought some bread and walked home along the river.\n".repeat(15);
const content = `${walk}Alice lives in Lisbon.\n${walk}Where does Alice live?`;

const answer = generate({ model, policy: pyramidkv({ keep: 128 }), prompt: [{ role: "user", content }] });
for await (const { text } of answer) process.stdout.write(text);
console.log(" from", (await answer.result).cache.rows.join(" "), "rows");
