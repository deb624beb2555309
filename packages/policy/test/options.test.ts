import {
  computed,
  type OptionsOf,
  oneOf,
  options,
  PolicyError,
  random,
  randomOptions,
  real,
  sinksAndRecent,
  sinksAndRecentOptions,
  whole,
} from "@ziggurat/policy";
import { describe, expect, expectTypeOf, test } from "vitest";

const mine = options("mine", {
  keep: whole({ min: 1, moreThan: "window", doc: "rows" }),
  window: whole({ min: 1, default: 8, doc: "queries" }),
  recent: whole({
    min: 0,
    default: computed("keep", (keep) => Math.floor(keep / 4), "a quarter of `keep`"),
    doc: "newest",
  }),
  width: whole({ min: 1, max: 9, odd: true, default: 3, doc: "neighbours" }),
  steep: real({ min: 0.5, default: 2, doc: "how steep" }),
  share: real({ min: 0, max: 1, default: 0.5, doc: "share" }),
  how: oneOf(["mean", "max"], { default: "mean", doc: "how" }),
});
const read = (given: unknown) => mine.read(given as OptionsOf<typeof mine>);

test("the type of what is given follows from the declaration", () => {
  type Given = OptionsOf<typeof mine>;
  expectTypeOf<Given>().toEqualTypeOf<{
    readonly keep: number;
    readonly window?: number;
    readonly recent?: number;
    readonly width?: number;
    readonly steep?: number;
    readonly share?: number;
    readonly how?: "mean" | "max";
  }>();
  expectTypeOf(mine.read({ keep: 9 })).toEqualTypeOf<{
    readonly keep: number;
    readonly window: number;
    readonly recent: number;
    readonly width: number;
    readonly steep: number;
    readonly share: number;
    readonly how: "mean" | "max";
  }>();
});

test("defaults are filled in, computed ones from what was given", () => {
  expect(read({ keep: 41 })).toEqual({ keep: 41, window: 8, recent: 10, width: 3, steep: 2, share: 0.5, how: "mean" });
  expect(read({ keep: 41, recent: 0, how: "max", window: undefined })).toMatchObject({
    recent: 0,
    how: "max",
    window: 8,
  });
});

test.each<readonly [unknown, string]>([
  [{}, "mine: keep is undefined; it must be a whole number of at least 1"],
  [{ keep: 8 }, "mine: keep is 8; it must be more than window, 8"],
  [{ keep: 3, window: 2.5 }, "mine: window is 2.5; it must be a whole number of at least 1"],
  [{ keep: 2 ** 31 }, "mine: keep is 2147483648; it must be at most 2147483647"],
  [{ keep: 9, width: 4 }, "mine: width is 4; it must be odd, so that a row lies in the middle of its neighbours"],
  [{ keep: 9, width: 11 }, "mine: width is 11; it must be a whole number from 1 to 9"],
  [{ keep: 9, steep: 0.4 }, "mine: steep is 0.4; it must be a finite number of at least 0.5"],
  [{ keep: 9, steep: Number.NaN }, "mine: steep is NaN; it must be a finite number of at least 0.5"],
  [{ keep: 9, steep: Number.POSITIVE_INFINITY }, "mine: steep is Infinity; it must be a finite number of at least 0.5"],
  [{ keep: 9, share: 1.5 }, "mine: share is 1.5; it must be a number from 0 to 1"],
  [{ keep: 9, share: -0.1 }, "mine: share is -0.1; it must be a number from 0 to 1"],
  [{ keep: 9, how: "sum" }, 'mine: how is "sum"; it must be "mean" or "max"'],
  [
    { keep: 9, windw: 3 },
    'mine: no option is called "windw"; there are keep, window, recent, width, steep, share, how',
  ],
  [{ keep: 9, toString: 3 }, 'mine: no option is called "toString"; there are'],
  [undefined, "mine: options is undefined; it must be an object with keep, window, recent, width, steep, share, how"],
  [7, "mine: options is 7; it must be an object with"],
])("%# refuses %o", (given, message) => {
  expect(() => read(given)).toThrow(PolicyError);
  expect(() => read(given)).toThrow(message);
});

describe("the least value of an option", () => {
  test.each<readonly [Record<string, unknown>, number]>([
    [{}, 9],
    [{ window: 20 }, 21],
    [{ window: 1 }, 2],
  ])("beside %o", (given, least) => {
    expect(mine.least("keep", given)).toBe(least);
    // It is the least: it is accepted, and one less is not.
    expect(read({ ...given, keep: least }).keep).toBe(least);
    expect(() => read({ ...given, keep: least - 1 })).toThrow(PolicyError);
  });

  test("is not bounded by a default that follows from the option itself", () => {
    expect(randomOptions.least("keep", {})).toBe(1);
    expect(randomOptions.least("keep", { recent: 5 })).toBe(5);
    expect(() => randomOptions.least("keep", { recent: -1 })).toThrow("random: recent is -1");
  });
});

test("the values of an option, in words", () => {
  expect(Object.fromEntries(Object.entries(mine.declared).map(([name, { values }]) => [name, values]))).toEqual({
    keep: "whole, more than `window`",
    window: "whole, at least 1",
    recent: "whole, at least 0",
    width: "whole, from 1 to 9, odd",
    steep: "at least 0.5",
    share: "from 0 to 1",
    how: '`"mean"`, `"max"`',
  });
});

test("a declaration that refers to what it lacks is a mistake of its author", () => {
  expect(() => options("mine", { keep: whole({ min: 1, moreThan: "sinks", doc: "" }) })).toThrow(TypeError);
  const late = {
    recent: whole({ min: 0, default: computed("keep", (keep) => keep, ""), doc: "" }),
    keep: whole({ min: 1, doc: "" }),
  };
  expect(() => options("mine", late)).toThrow("mine: the declaration of recent refers to an option");
});

describe("published defaults of the controls", () => {
  test("random", () => {
    expect(randomOptions.read({ keep: 100 })).toEqual({ keep: 100, seed: 0, recent: 32 });
    expect(randomOptions.read({ keep: 41 }).recent).toBe(20);
    expect([100, 41].map((keep) => random({ keep }).protect.count(1000))).toEqual([32, 20]);
  });

  test("sinksAndRecent", () => {
    expect(sinksAndRecentOptions.read({ keep: 100 })).toEqual({ keep: 100, sinks: 4 });
    expect(sinksAndRecent({ keep: 10 }).protect.stretches!(100)).toEqual([
      [0, 4],
      [94, 100],
    ]);
  });
});
