import { h2o } from "@ziggurat/h2o";
import { afterPrefill, every, full, last, type Policy, perHead, randomScore } from "@ziggurat/policy";
import { pyramidkv } from "@ziggurat/pyramid";
import { snapkv } from "@ziggurat/snapkv";
import { streaming } from "@ziggurat/streaming";

/** Two budgets per layer, one per KV head; compressed after the prompt and at every third token. */
export const ragged: Policy = {
  name: "ragged",
  budget: perHead(12, 28),
  score: randomScore(3),
  protect: last(4),
  schedule: (step) => afterPrefill()(step) || every(3)(step),
};

export const policies: readonly Policy[] = [
  full(),
  streaming({ keep: 20, sinks: 4 }),
  h2o({ keep: 20, recent: 10 }),
  snapkv({ keep: 20, window: 8 }),
  pyramidkv({ keep: 20, window: 8 }),
  ragged,
];
