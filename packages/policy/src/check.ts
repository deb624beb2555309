import { PolicyError } from "./error.js";
import type { Policy } from "./policy.js";

// Checks of what a caller hands in. Options may come from a command line or a web page: nothing about them is known
// until it is checked here.

/** A value as an error message shows it. */
export const show = (value: unknown): string => {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return typeof value === "function" ? "a function" : String(value);
};

/** Throws the PolicyError `h2o: keep is 0; it must be a whole number of at least 1`. `right` completes "it must be". */
export function refuse(policy: string, option: string, value: unknown, right: string): never {
  throw new PolicyError(`${policy}: ${option} is ${show(value)}; it must be ${right}`);
}

/** Rows are counted in 32 bits on the device. */
const mostRows = 2 ** 31 - 1;

/**
 * Returns `value` if it is a whole number from `least` to `most`, by default the most that a device counts; throws a
 * PolicyError otherwise.
 */
export function checkWhole(policy: string, option: string, value: unknown, least: number, most = mostRows): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  const range = most === mostRows ? `of at least ${least}` : `from ${least} to ${most}`;
  const tooLarge = typeof value === "number" && Number.isInteger(value) && value > most && most === mostRows;
  return refuse(policy, option, value, tooLarge ? `at most ${most}` : `a whole number ${range}`);
}

/** Returns `value` if it is one of `allowed`; throws a PolicyError otherwise. */
export function checkOneOf<const T extends string>(
  policy: string,
  option: string,
  value: unknown,
  allowed: readonly T[],
): T {
  const found = allowed.find((x) => x === value);
  return found ?? refuse(policy, option, value, allowed.map((x) => JSON.stringify(x)).join(" or "));
}

/**
 * Throws a PolicyError that names the part of `policy` that is missing or of the wrong kind. For policies that were not
 * checked by a compiler.
 */
export function checkPolicy(policy: Policy): void {
  if (typeof policy !== "object" || policy === null)
    refuse("policy", "policy", policy, "an object { name, budget, score, protect, schedule }");
  const { name, budget, score, protect, schedule, positions = "text" } = policy;
  if (typeof name !== "string" || name === "") refuse("policy", "name", name, "a text that is not empty");
  const parts = {
    budget,
    schedule,
    "score.score": score?.score,
    "protect.count": protect?.count,
    "protect.mask": protect?.mask,
  };
  for (const [part, value] of Object.entries(parts))
    if (typeof value !== "function") refuse(name, part, value, "a function");
  const { watch = 0, watchEach = 0, columns = [], observe } = score;
  if (watch !== Number.POSITIVE_INFINITY) checkWhole(name, "score.watch", watch, 0);
  checkWhole(name, "score.watchEach", watchEach, 0, 1024);
  checkColumns(name, columns);
  if (observe !== undefined && typeof observe !== "function")
    refuse(name, "score.observe", observe, "a function, or left out");
  checkOneOf(name, "positions", positions, ["text", "slot"]);
}

/** Every column takes 4 bytes beside each row. */
const mostColumns = 64;

function checkColumns(policy: string, columns: unknown): void {
  if (!Array.isArray(columns)) refuse(policy, "score.columns", columns, "a list of names");
  if (columns.length > mostColumns)
    refuse(policy, "score.columns", columns, `at most ${mostColumns} names; there are ${columns.length}`);
  Array.from(columns).forEach((column: unknown, index) => {
    if (typeof column !== "string" || column === "")
      refuse(policy, `score.columns[${index}]`, column, "a text that is not empty");
    if (columns.indexOf(column) !== index)
      refuse(policy, `score.columns[${index}]`, column, "another name than the columns before it");
  });
}
