import { checkWhole, refuse } from "./check.js";
import type { Protection } from "./policy.js";

type Stretch = readonly [from: number, to: number];

/** Number of positions inside at least one of the stretches. */
function covered(stretches: readonly Stretch[]): number {
  let count = 0;
  let end = 0;
  for (const [from, to] of [...stretches].sort((a, b) => a[0] - b[0])) {
    count += Math.max(0, to - Math.max(from, end));
    end = Math.max(end, to);
  }
  return count;
}

/** Protects one stretch of the text. */
const stretch = (of: (seen: number) => Stretch, mask: Protection["mask"]): Protection => ({
  count: (seen) => covered([of(seen)]),
  stretches: (seen) => [of(seen)],
  mask,
});

/** No row is protected. */
export const none: Protection = {
  count: () => 0,
  stretches: () => [],
  mask: ({ positions }) => positions.lt(0),
};

/** The first `n` tokens of the text: attention sinks. `n`: whole, at least 0. */
export function first(n: number): Protection {
  checkWhole("first", "n", n, 0);
  return stretch(
    (seen) => [0, Math.min(n, seen)],
    ({ positions }) => positions.lt(n),
  );
}

/** The newest `n` tokens. `n`: whole, at least 0. */
export function last(n: number): Protection {
  checkWhole("last", "n", n, 0);
  return stretch(
    (seen) => [Math.max(0, seen - n), seen],
    ({ age }) => age.lt(n),
  );
}

/**
 * The tokens from position `start` up to, not including, `end` of the text: a system prompt, a definition. For several
 * stretches see {@link anyOf}.
 */
export function pin(start: number, end: number): Protection {
  checkWhole("pin", "start", start, 0);
  checkWhole("pin", "end", end, 0);
  if (end <= start) refuse("pin", "end", end, `more than start, ${start}`);
  return stretch(
    (seen) => [start, Math.min(end, seen)],
    ({ positions }) => positions.ge(start).and(positions.lt(end)),
  );
}

/**
 * Every row that one of `parts` protects. Rows that several parts protect are counted once. If a part has no
 * `stretches`, `count` is an upper bound.
 */
export function anyOf(...parts: readonly [Protection, ...Protection[]]): Protection {
  if (parts.length === 0) refuse("anyOf", "parts", parts, "at least one protection");
  const known = parts.filter((part) => part.stretches);
  const others = parts.filter((part) => !part.stretches);
  const stretches = (seen: number) => known.flatMap((part) => part.stretches!(seen));
  return {
    count: (seen) =>
      Math.min(
        seen,
        others.reduce((sum, part) => sum + part.count(seen), covered(stretches(seen))),
      ),
    ...(others.length === 0 ? { stretches } : {}),
    mask: (view) => parts.map((part) => part.mask(view)).reduce((a, b) => a.or(b)),
  };
}
