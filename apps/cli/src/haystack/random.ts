/** Seeded choices. */
export interface Random {
  /** A whole number from `least` to `most`, both included. */
  whole(least: number, most: number): number;
  /** True with the given probability. */
  chance(probability: number): boolean;
  /** One element. Throws a RangeError if the list is empty. */
  pick<T>(items: readonly T[]): T;
  /** `count` different elements, in random order. */
  sample<T>(items: readonly T[], count: number): T[];
}

/** The same choices for the same seed, anywhere (mulberry32). */
export function random(seed: number): Random {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const whole = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  return {
    whole,
    chance: (probability) => next() < probability,
    pick(items) {
      if (items.length === 0) throw new RangeError("there is nothing to choose from");
      return items[whole(0, items.length - 1)]!;
    },
    sample(items, count) {
      const rest = [...items];
      for (let i = 0; i < Math.min(count, rest.length); i++) {
        const j = whole(i, rest.length - 1);
        [rest[i], rest[j]] = [rest[j]!, rest[i]!];
      }
      return rest.slice(0, count);
    },
  };
}
