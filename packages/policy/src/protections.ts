import { checkWhole, refuse } from "./check.js";
import type { Protection } from "./policy.js";

/** No row is protected. */
export const none: Protection = {
  count: () => 0,
  mask: ({ positions }) => positions.lt(0),
};

/** The first `n` tokens of the text: attention sinks. `n`: whole, at least 0. */
export function first(n: number): Protection {
  checkWhole("first", "n", n, 0);
  return {
    count: (seen) => Math.min(n, seen),
    mask: ({ positions }) => positions.lt(n),
  };
}

/** The newest `n` tokens. `n`: whole, at least 0. */
export function last(n: number): Protection {
  checkWhole("last", "n", n, 0);
  return {
    count: (seen) => Math.min(n, seen),
    mask: ({ age }) => age.lt(n),
  };
}

/** The tokens from position `start` up to, not including, `end` of the text: a system prompt, a definition. For several stretches see {@link anyOf}. */
export function pin(start: number, end: number): Protection {
  checkWhole("pin", "start", start, 0);
  checkWhole("pin", "end", end, 0);
  if (end <= start) refuse("pin", "end", end, `more than start, ${start}`);
  return {
    count: (seen) => Math.max(0, Math.min(end, seen) - start),
    mask: ({ positions }) => positions.ge(start).and(positions.lt(end)),
  };
}

/** Every row that one of `parts` protects. Rows that several protect are counted once for each: `count` is a bound. */
export function anyOf(...parts: readonly [Protection, ...Protection[]]): Protection {
  if (parts.length === 0) refuse("anyOf", "parts", parts, "at least one protection");
  return {
    count: (seen) =>
      Math.min(
        seen,
        parts.reduce((sum, part) => sum + part.count(seen), 0),
      ),
    mask: (view) => parts.map((part) => part.mask(view)).reduce((a, b) => a.or(b)),
  };
}
