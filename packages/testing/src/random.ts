/** Seeded random data. The same seed gives the same numbers everywhere. */
export interface Random {
  /** A number in [0, 1). */
  next(): number;
  /** A whole number in [0, below). */
  int(below: number): number;
  /** One of `values`. */
  pick<T>(values: readonly T[]): T;
  /** Numbers that `make` draws one by one. */
  list(count: number, make: () => number): number[];
  /**
   * Normal numbers of the given standard deviation. Logits with a deviation of several units make softmax peaky, so
   * that a wrong row is noticed.
   */
  normal(count: number, spread?: number): number[];
  /** Numbers in [-size, size). */
  uniform(count: number, size?: number): number[];
  /** 0 to count - 1, in random order. */
  permutation(count: number): number[];
}

/** mulberry32 of Tommy Ettinger: 32 bits of state. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const int = (below: number) => Math.floor(next() * below);
  const list = (count: number, make: () => number) => Array.from({ length: count }, make);
  // The Box-Muller transform.
  const gauss = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  return {
    next,
    int,
    list,
    pick: (values) => values[int(values.length)]!,
    normal: (count, spread = 1) => list(count, () => spread * gauss()),
    uniform: (count, size = 1) => list(count, () => size * (2 * next() - 1)),
    permutation(count) {
      const order = list(count, () => 0).map((_, i) => i);
      for (let i = count - 1; i > 0; i--) {
        const j = int(i + 1);
        [order[i], order[j]] = [order[j]!, order[i]!];
      }
      return order;
    },
  };
}

/** A seed for a name. FNV-1a hash. */
export function seedOf(name: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193) >>> 0;
  return hash;
}
