import {
  anyOf,
  blend,
  checkPolicy,
  every,
  first,
  fraction,
  full,
  last,
  type Policy,
  PolicyError,
  type Protection,
  perHead,
  pin,
  random,
  randomScore,
  recency,
  type Scorer,
  sinksAndRecent,
  uniform,
} from "@ziggurat/policy";
import { describe, expect, test } from "vitest";

const watching = (watch: number): Scorer => ({ watch, score: ({ mass }) => mass });
const any = (value: unknown) => value as never;

const refusals: readonly (readonly [build: () => unknown, message: string])[] = [
  [() => uniform(0), "uniform: keep is 0; it must be a whole number of at least 1"],
  [() => uniform(-3), "uniform: keep is -3; it must be a whole number of at least 1"],
  [() => uniform(2.5), "uniform: keep is 2.5; it must be a whole number of at least 1"],
  [() => uniform(Number.NaN), "uniform: keep is NaN; it must be a whole number of at least 1"],
  [() => uniform(Number.POSITIVE_INFINITY), "uniform: keep is Infinity; it must be a whole number of at least 1"],
  [() => uniform(2 ** 31), "uniform: keep is 2147483648; it must be at most 2147483647"],
  [() => uniform(any("8")), 'uniform: keep is "8"; it must be a whole number of at least 1'],
  [() => uniform(any(8n)), "uniform: keep is 8; it must be a whole number of at least 1"],
  [() => uniform(any(undefined)), "uniform: keep is undefined; it must be a whole number of at least 1"],
  [() => fraction(0), "fraction: share is 0; it must be a number above 0 and at most 1"],
  [() => fraction(1.01), "fraction: share is 1.01; it must be a number above 0 and at most 1"],
  [() => fraction(Number.NaN), "fraction: share is NaN; it must be a number above 0 and at most 1"],
  [() => perHead(), "perHead: keep is an array; it must be one number per KV head"],
  [() => perHead(4, 0), "perHead: keep[1] is 0; it must be a whole number of at least 1"],
  [() => first(-1), "first: n is -1; it must be a whole number of at least 0"],
  [() => last(0.5), "last: n is 0.5; it must be a whole number of at least 0"],
  [() => pin(4, 4), "pin: end is 4; it must be more than start, 4"],
  [() => pin(-1, 4), "pin: start is -1; it must be a whole number of at least 0"],
  [() => anyOf(...(any([]) as [Protection])), "anyOf: parts is an array; it must be at least one protection"],
  [() => every(0), "every: n is 0; it must be a whole number of at least 1"],
  [() => randomScore(-1), "randomScore: seed is -1; it must be a whole number of at least 0"],
  [() => blend(recency, recency, 1.5), "blend: weight is 1.5; it must be a number from 0 to 1"],
  [() => blend(recency, recency, any("1")), 'blend: weight is "1"; it must be a number from 0 to 1'],
  [
    () => blend(watching(8), watching(16)),
    "blend: the scorers watch 8 and 16 queries; where both watch, the numbers must be equal",
  ],
  [() => random({ keep: 0 }), "random: keep is 0; it must be a whole number of at least 1"],
  [() => random({ keep: 4, recent: 5 }), "random: keep is 4; it must be at least recent, 5"],
  [() => random({ keep: 4, seed: 0.5 }), "random: seed is 0.5; it must be a whole number of at least 0"],
  [() => random(any(undefined)), "random: options is undefined; it must be an object with keep, seed, recent"],
  [() => random(any({ keep: 4, sed: 1 })), 'random: no option is called "sed"; there are keep, seed, recent'],
  [() => sinksAndRecent({ keep: 4 }), "sinksAndRecent: keep is 4; it must be more than sinks, 4"],
  [
    () => sinksAndRecent({ keep: 4, sinks: -1 }),
    "sinksAndRecent: sinks is -1; it must be a whole number of at least 0",
  ],
  [
    () => checkPolicy(any(null)),
    "policy: policy is null; it must be an object { name, budget, score, protect, schedule }",
  ],
  [() => checkPolicy({ ...full(), name: "" }), 'policy: name is ""; it must be a text that is not empty'],
  [() => checkPolicy({ ...full(), name: "mine", budget: any(128) }), "mine: budget is 128; it must be a function"],
  [
    () => checkPolicy({ ...full(), name: "mine", score: any(undefined) }),
    "mine: score.score is undefined; it must be a function",
  ],
  [
    () => checkPolicy({ ...full(), name: "mine", protect: any({ count: 3 }) }),
    "mine: protect.count is 3; it must be a function",
  ],
  [
    () => checkPolicy({ ...full(), name: "mine", score: watching(-1) }),
    "mine: score.watch is -1; it must be a whole number of at least 0",
  ],
  [
    () => checkPolicy({ ...full(), name: "mine", score: { ...recency, columns: any(2) } }),
    "mine: score.columns is 2; it must be a list of names",
  ],
  [
    () => checkPolicy({ ...full(), name: "mine", score: { ...recency, columns: ["a", any(3)] } }),
    "mine: score.columns[1] is 3; it must be a text that is not empty",
  ],
  [
    () => checkPolicy({ ...full(), name: "mine", score: { ...recency, columns: any(new Array(1)) } }),
    "mine: score.columns[0] is undefined; it must be a text that is not empty",
  ],
  [
    () => checkPolicy({ ...full(), name: "mine", score: { ...recency, columns: ["a", "b", "a"] } }),
    'mine: score.columns[2] is "a"; it must be another name than the columns before it',
  ],
  [
    () => checkPolicy({ ...full(), name: "mine", score: { ...recency, columns: any(Array(65).fill("a")) } }),
    "mine: score.columns is an array; it must be at most 64 names; there are 65",
  ],
  [
    () => checkPolicy({ ...full(), name: "mine", positions: any("rank") }),
    'mine: positions is "rank"; it must be "text" or "slot"',
  ],
];

describe("refusals name the part, the option, the value and what would be right", () => {
  test.each(refusals)("%# %s", (build, message) => {
    expect(build).toThrow(new PolicyError(message));
    expect(build).toThrow(PolicyError);
  });
});

test.each<Policy>([
  full(),
  random({ keep: 1 }),
  random({ keep: 64, recent: 64 }),
  sinksAndRecent({ keep: 1, sinks: 0 }),
])("checkPolicy accepts $name", (policy) => {
  expect(() => checkPolicy(policy)).not.toThrow();
});
