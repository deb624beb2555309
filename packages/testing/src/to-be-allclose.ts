export interface AllcloseOptions {
  /** Numbers may differ by tolerance x (1 + |expected|). Default 1e-5. */
  readonly tolerance?: number;
}

interface Result {
  readonly pass: boolean;
  readonly message: () => string;
}

/**
 * A vitest matcher for lists of numbers: `expect.extend({ toBeAllclose })`, then `expect(actual).toBeAllclose(expected,
 * { tolerance: 1e-4 })`. NaN is close to NaN alone and an infinity to itself alone; lists of different lengths are
 * never close.
 */
export function toBeAllclose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { tolerance = 1e-5 }: AllcloseOptions = {},
): Result {
  if (actual.length !== expected.length) {
    return { pass: false, message: () => `there are ${actual.length} numbers, expected ${expected.length}` };
  }
  let off = 0;
  let worst = { index: 0, excess: Number.NEGATIVE_INFINITY };
  for (let index = 0; index < expected.length; index++) {
    const excess = excessOf(actual[index]!, expected[index]!, tolerance);
    if (excess > 0) off++;
    if (excess > worst.excess) worst = { index, excess };
  }
  const at = (list: ArrayLike<number>) => list[worst.index];
  const about = `worst at [${worst.index}]: ${at(actual)}, expected ${at(expected)}, tolerance ${tolerance} x (1 + |expected|)`;
  return {
    pass: off === 0,
    message: () =>
      off === 0
        ? `all ${expected.length} numbers are close; ${about}`
        : `${off} of ${expected.length} numbers are off; ${about}`,
  };
}

/** By how much two numbers differ more than they may. */
function excessOf(a: number, b: number, tolerance: number): number {
  if (Object.is(a, b) || a === b) return Number.NEGATIVE_INFINITY;
  if (!Number.isFinite(a) || !Number.isFinite(b)) return Number.POSITIVE_INFINITY;
  return Math.abs(a - b) - tolerance * (1 + Math.abs(b));
}

declare module "vitest" {
  // biome-ignore lint/suspicious/noExplicitAny: a declaration that is merged must repeat vitest's own
  interface Matchers<T = any> {
    /** Numbers that differ by at most tolerance x (1 + |expected|). See `toBeAllclose` of @ziggurat/testing. */
    toBeAllclose(expected: ArrayLike<number>, options?: AllcloseOptions): T;
  }
}
