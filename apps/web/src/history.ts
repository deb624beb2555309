import type { GenerateResult } from "@ziggurat/runtime";
import { bytes, speed } from "./format.js";

export interface Entry {
  readonly backend: string;
  readonly policy: string;
  /** As it was typed; empty for the full cache. */
  readonly keep: string;
  readonly result: GenerateResult;
  /** The right answer, if it is known. */
  readonly expected: string | undefined;
}

/** One row for every answer, the newest first, so that policies can be compared. */
export function remember(table: HTMLTableElement, { backend, policy, keep, result, expected }: Entry): void {
  const { text, cache, timings, promptTokens } = result;
  const right = expected === undefined ? "" : text.trim() === expected ? " ✓" : " ✗";
  const cells = [
    `${policy}${keep === "" ? "" : ` ${keep}`}`,
    `${text.trim() || "(nothing)"}${right}`,
    bytes(cache.bytes - cache.roomBytes),
    bytes(cache.peakBytes),
    speed(timings.prefillTokensPerSecond),
    speed(timings.decodeTokensPerSecond),
    String(promptTokens),
    backend,
  ];
  const row = table.tBodies[0]!.insertRow(0);
  for (const cell of cells) row.insertCell().textContent = cell;
}
