import { afterPrefill, every, never, type Step, whenOver } from "@ziggurat/policy";
import { expect, test } from "vitest";

const step = (change: Partial<Step>): Step => ({
  phase: "decode",
  layer: 0,
  seen: 100,
  rows: 50,
  excess: 0,
  sinceCompressed: 1,
  ...change,
});

test("afterPrefill fires at the end of a message only", () => {
  expect(afterPrefill()(step({ phase: "prefill" }))).toBe(true);
  expect(afterPrefill()(step({ excess: 9 }))).toBe(false);
});

test("whenOver fires where rows exceed the budget, in both phases", () => {
  expect(whenOver()(step({ excess: 1 }))).toBe(true);
  expect(whenOver()(step({ excess: 1, phase: "prefill" }))).toBe(true);
  expect(whenOver()(step({ phase: "prefill" }))).toBe(false);
});

test("every(n) fires at generated tokens, n tokens apart", () => {
  const schedule = every(4);
  let since = 0;
  const fired = Array.from({ length: 12 }, (_, i) => {
    since += 1;
    const fires = schedule(step({ sinceCompressed: since }));
    if (fires) since = 0;
    return fires ? i : -1;
  }).filter((i) => i >= 0);
  expect(fired).toEqual([3, 7, 11]);
  expect(schedule(step({ phase: "prefill", sinceCompressed: 400 }))).toBe(false);
});

test("never never fires", () => {
  expect(never()(step({ phase: "prefill", excess: 50 }))).toBe(false);
});
