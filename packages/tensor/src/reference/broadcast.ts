type Triple = readonly [number, number, number];

/** The index into an operand of shape `from` of element [i, j, k] of a result it is broadcast to. */
const indexIn = ([x, y, z]: Triple, i: number, j: number, k: number): number =>
  ((x === 1 ? 0 : i) * y + (y === 1 ? 0 : j)) * z + (z === 1 ? 0 : k);

/**
 * Calls `each` with every element of `shape`, in order, and with `at`, which gives the index of the operand's element
 * for it.
 */
export function broadcast([d0, d1, d2]: Triple, each: (out: number, at: (from: Triple) => number) => void): void {
  let out = 0;
  for (let i = 0; i < d0; i++)
    for (let j = 0; j < d1; j++) for (let k = 0; k < d2; k++) each(out++, (from) => indexIn(from, i, j, k));
}
