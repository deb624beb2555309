import { PolicyError } from "@ziggurat/policy";
import type { ListedPolicy } from "./list.js";
import { quote } from "./quote.js";

/** A budget as it was typed: rows per layer, or a share of the prompt, above 0 and at most 1. */
export type Keep = { readonly rows: number } | { readonly share: number };

/** A decimal number; NaN for any other text. */
export const decimal = (text: string): number =>
  /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;

const right = "a whole number of rows of at least 1, or a share of the prompt such as 12%";

/** Reads `128` or `12%`. `where` starts the error, such as `--keep`. Throws a PolicyError. */
export function parseKeep(where: string, text: string): Keep {
  const isShare = text.endsWith("%");
  const value = decimal(isShare ? text.slice(0, -1) : text);
  if (!Number.isFinite(value)) throw new PolicyError(`${where} is ${quote(text)}; it must be ${right}`);
  if (isShare) {
    if (!(value > 0 && value <= 100))
      throw new PolicyError(`${where} is ${quote(text)}; it must be above 0% and at most 100% of the prompt`);
    return { share: value / 100 };
  }
  if (!Number.isSafeInteger(value) || value < 1) {
    const hint = value > 0 && value < 1 ? `; for a share of the prompt write ${+(100 * value).toFixed(4)}%` : "";
    throw new PolicyError(`${where} is ${text}; it must be ${right}${hint}`);
  }
  return { rows: value };
}

/** The text that {@link parseKeep} reads: `12%` or `128`. */
export const keepAsText = (keep: Keep): string =>
  "rows" in keep ? String(keep.rows) : `${+(100 * keep.share).toFixed(4)}%`;

/**
 * Rows per layer for a prompt of `tokens` tokens. A share is rounded to the nearest row, and raised to the fewest rows
 * that the policy accepts beside its other options, such as `window + 1` for SnapKV: a short prompt is no error. Rows
 * given as a number stay as they are. Throws a PolicyError if an option is out of range.
 */
export function rowsOf(
  keep: Keep,
  tokens: number,
  { options }: ListedPolicy,
  given: Readonly<Record<string, unknown>> = {},
): number {
  if ("rows" in keep) return keep.rows;
  return Math.max(Math.round(keep.share * tokens), options.least("keep", given));
}
