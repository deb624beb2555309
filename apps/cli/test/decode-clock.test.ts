import { expect, it } from "vitest";
import { DecodeClock } from "../src/decode-clock.js";

/** A clock that was called at these times, in milliseconds, with these numbers of tokens. */
function clocked(groups: readonly (readonly [at: number, tokens: number])[]): DecodeClock {
  let now = 0;
  const clock = new DecodeClock(() => now);
  for (const [at, tokens] of groups) {
    now = at;
    clock.group(tokens);
  }
  return clock;
}

it("gives the median over groups, without the first token and the group that prepares kernels", () => {
  // Groups of 8: 900 ms (prepares), then 80, 100, 4000 (a pause of the machine), 80 and 100 ms; the last has 4 tokens.
  // biome-ignore format: groups
  const clock = clocked([[1000, 1], [1900, 8], [1980, 8], [2080, 8], [6080, 8], [6160, 8], [6210, 4]]);
  expect(clock.tokensPerSecond).toBeCloseTo(80, 6);
});

it("takes the middle of both middles of an even number", () => {
  // biome-ignore format: groups
  expect(clocked([[0, 1], [9, 8], [89, 8], [189, 8], [229, 8], [629, 8]]).tokensPerSecond).toBeCloseTo(90, 6);
});

it("does not count the prompt's time", () => {
  const groups = [[1, 1], [2, 8], [102, 8], [202, 8], [302, 8]] as const; // biome-ignore format: groups
  expect(clocked(groups).tokensPerSecond).toBeCloseTo(80, 6);
  expect(clocked(groups.map(([at, tokens]) => [at + 60_000, tokens] as const)).tokensPerSecond).toBeCloseTo(80, 6);
});

it("gives nothing if there are too few groups", () => {
  expect(new DecodeClock().tokensPerSecond).toBeUndefined();
  expect(clocked([[0, 1], [1, 8], [2, 8], [3, 8]]).tokensPerSecond).toBeUndefined(); // biome-ignore format: groups
});
