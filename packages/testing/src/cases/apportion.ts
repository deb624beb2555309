import { type Case, casesOf } from "../case.js";
import type { Random } from "../random.js";
import { positions, regions, sum } from "./data.js";

interface Contest {
  readonly about: string;
  /** [sequence][head] */
  readonly lengths: readonly (readonly number[])[];
  /** rows, least, most; [sequence] */
  readonly limits: readonly (readonly [number, number, number])[];
  readonly capacity: number;
  readonly score: (random: Random) => number;
  /** Positions that heads share, so that ties go on to the head. */
  readonly alike?: true;
}

const normal = (random: Random) => random.normal(1)[0]!;
const few = (random: Random) => random.int(4) - 1;

const contests: readonly Contest[] = [
  { about: "one row", lengths: [[1]], limits: [[1, 0, 9]], capacity: 1, score: normal },
  { about: "nothing to give", lengths: [[3, 2]], limits: [[0, 0, 9]], capacity: 4, score: normal },
  { about: "more than there is", lengths: [[3, 0, 7]], limits: [[99, 1, 99]], capacity: 8, score: normal },
  { about: "distinct", lengths: [[40, 65, 300]], limits: [[123, 0, 999]], capacity: 310, score: normal },
  { about: "floors", lengths: [[40, 65, 30], [9, 70, 1]], limits: [[60, 18, 99], [20, 6, 30]], capacity: 70, score: normal }, // biome-ignore format: one case a line
  { about: "caps", lengths: [[200, 200, 200]], limits: [[300, 10, 110]], capacity: 200, score: (r) => normal(r) ** 3 },
  { about: "floors above caps", lengths: [[20, 20]], limits: [[30, 12, 5]], capacity: 20, score: normal },
  { about: "tied", lengths: [[90, 64, 7]], limits: [[77, 3, 99]], capacity: 90, score: few },
  { about: "tied in place and score", lengths: [[30, 30, 30]], limits: [[41, 2, 20]], capacity: 33, score: few, alike: true }, // biome-ignore format: one case a line
  { about: "all the same", lengths: [[50, 50]], limits: [[51, 0, 99]], capacity: 50, score: () => 0, alike: true },
  {
    about: "NaN and infinities",
    lengths: [[50, 31, 12]],
    limits: [[61, 4, 99]],
    capacity: 50,
    score: (random) => random.pick([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, 1]),
  },
  { about: "long", lengths: [[3000, 2049, 5], [4000, 1, 3999]], limits: [[2500, 4, 2400], [4001, 1, 3990]], capacity: 4096, score: normal }, // biome-ignore format: one case a line
];

export const apportion: readonly Case[] = casesOf(
  "apportion",
  contests.map(({ about, lengths, limits, capacity, score, alike }) => {
    const all = lengths.flat();
    const arenaRows = sum(all) + 3;
    return {
      about,
      spec: { sequences: lengths.length, kvHeads: lengths[0]!.length, capacity, arenaRows },
      inputs: (random: Random) => {
        const offset = regions(random, all, arenaRows);
        const places = positions(random, arenaRows);
        if (alike) {
          all.forEach((length, head) => {
            const own = random.permutation(length);
            for (let row = 0; row < length; row++) places[offset[head]! + row] = own[row]!;
          });
        }
        return {
          // The greatest scores of all are beyond the lengths.
          scores: random
            .list(all.length * capacity, () => score(random))
            .map((x, i) => (i % capacity < all[Math.floor(i / capacity)]! ? x : Number.POSITIVE_INFINITY)),
          positions: places,
          ...{ offset, length: all, limits: limits.flat() },
        };
      },
    };
  }),
);
