import { h2o } from "@ziggurat/h2o";
import { full, type Policy, random, sinksAndRecent } from "@ziggurat/policy";
import { pyramidkv } from "@ziggurat/pyramid";
import { snapkv } from "@ziggurat/snapkv";
import { streaming } from "@ziggurat/streaming";

/** Every policy with `keep` rows a layer; the same window for those that have one. */
export const everyPolicy = (keep: number): Policy[] => [
  full(),
  streaming({ keep }),
  h2o({ keep }),
  snapkv({ keep, window: 32 }),
  pyramidkv({ keep, window: 32 }),
  random({ keep, seed: 1 }),
  sinksAndRecent({ keep }),
];
