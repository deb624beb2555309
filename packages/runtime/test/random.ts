/** Seeded numbers in [0, 1) (mulberry32). Tests print the seed where they fail. */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A number near 0, by the sum of a few uniform ones, now and then a large one. */
export const peaky = (next: () => number): number => {
  const near = next() + next() + next() - 1.5;
  return next() < 0.02 ? near * 40 : near;
};
