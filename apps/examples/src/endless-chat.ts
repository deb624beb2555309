// A chat that never stops: more text than the model's context, under a ceiling of a few MB, with its opening message
// always in sight.
import { cpu } from "@ziggurat/cpu";
import { pebble } from "@ziggurat/pebble";
import { anyOf, last, pin } from "@ziggurat/policy";
import { loadModel, Session } from "@ziggurat/runtime";
import { streaming } from "@ziggurat/streaming";

const model = await loadModel(pebble(), { backend: await cpu() });
const opening = [{ role: "user", content: "Alice lives in Lisbon." }];
const pinned = pin(0, model.chat!.prompt(opening).length);
const policy = { ...streaming({ keep: 400 }), protect: anyOf(pinned, last(200)) };
const session = new Session({ model, policy, maxCacheBytes: 6_000_000 });
await session.read(opening);

const walk = "Anna went to the market, bought some bread and walked home along the river.\n".repeat(40);
while (session.seen < 1.01 * model.facts.contextLength) {
  const prompt = [{ role: "user", content: `${walk}Where does Alice live?` }];
  const { text } = await session.generate({ prompt, maxTokens: 8 }).result;
  console.log(`${session.seen} tokens read, ${session.cacheBytes} bytes held: ${text}`);
}
session.close();
