import { describe, expect, it } from "vitest";
import { explain } from "../src/error.js";
import { barScale, bars, bytes, json, oneLine, percent, rate, seconds, table, wrap } from "../src/format.js";
import { progress } from "../src/progress.js";

describe("bars", () => {
  it("are as high as the share of the most", () => {
    expect(bars([8, 7, 6, 5, 4, 3, 2, 1], 8)).toBe("█▇▆▅▄▃▂▁");
    expect(bars([1, 0, 4096], 4096)).toBe("▁ █");
    expect(bars([], 4)).toBe("");
    expect(bars([0, 0], 0)).toBe("  ");
  });

  it("never leave their eight characters", () => expect(bars([900, 1e9], 100)).toBe("██"));

  it("show a uniform budget at half height and a pyramid around it", () => {
    expect(bars([100, 100, 100], barScale({ keep: 100, rowsPerLayer: [100, 100, 100] }))).toBe("▄▄▄");
    expect(bars([200, 100, 12], barScale({ keep: 100, rowsPerLayer: [200, 100, 12] }))).toBe("█▄▁");
    expect(bars([50, 50], barScale({ keep: null, rowsPerLayer: [50, 50] }))).toBe("██");
  });

  it("share a character among neighbours where layers are many", () => {
    const rows = Array.from({ length: 64 }, (_, layer) => (layer < 32 ? 8 : 4));
    expect(bars(rows, 8)).toBe("█".repeat(16) + "▄".repeat(16));
    expect([
      ...bars(
        Array.from({ length: 33 }, () => 1),
        1,
      ),
    ]).toHaveLength(17);
  });
});

it("numbers are short", () => {
  expect([0, 999, 1000, 12_345, 1_064_960, 34_012_345, 999_600_000, 5e12].map(bytes)).toEqual(
    ["0 B", "999 B", "1.00 kB", "12.3 kB", "1.06 MB", "34.0 MB", "1.00 GB", "5.00 TB"],
  ); // biome-ignore format: numbers above their texts
  expect([0, Number.NaN, Number.POSITIVE_INFINITY, 8.24, 99.7, 1234.5].map(rate)).toEqual([
    "-",
    "-",
    "-",
    "8.2",
    "100",
    "1235",
  ]);
  expect([0.0004, 0.036, 0.9999, 9.99, 61.23].map(seconds)).toEqual(["0 ms", "36 ms", "1.00 s", "10.0 s", "61.2 s"]);
  expect([0, 0.05, 0.333, 1].map(percent)).toEqual(["0 %", "5.0 %", "33 %", "100 %"]);
});

it("a long text is cut by characters, not in their middle", () => {
  expect(oneLine("a\n  b", 20)).toBe('"a b"');
  expect(oneLine("😀😀😀😀😀😀", 6)).toBe('"😀😀😀…"');
});

it("prose is broken at spaces", () => {
  expect(wrap("one two three", 7)).toEqual(["one two", "three"]);
  expect(wrap("incomprehensibilities are long", 10)).toEqual(["incomprehensibilities", "are long"]);
});

it("tables align", () => {
  expect(table([{ title: "name" }, { title: "n", right: true }], [["a", "1"], ["▄▄▄▄▄", "100"]])).toEqual(["name     n", "a        1", "▄▄▄▄▄  100"]); // biome-ignore format: a table
});

it("JSON keeps lists of numbers on one line and is still the same value", () => {
  const value = { rows: [1, 2.5, -3e-7], text: "[\n  1,\n  2\n]", names: ["a"], none: [], nested: [[1], [2, 3]] };
  expect(JSON.parse(json(value))).toEqual(value);
  expect(json(value)).toContain('"rows": [1, 2.5, -3e-7]');
});

it("errors are one line, or all there is", () => {
  const error = new RangeError("first\n  second");
  expect(explain(error, false)).toBe("error: first second");
  expect(explain(error, true)).toContain("format.test.ts");
  expect(explain("a text", false)).toBe("error: a text");
});

it("a progress bar writes on terminals alone, and wipes itself", () => {
  const written: string[] = [];
  const stream = (isTTY: boolean) =>
    ({ isTTY, columns: 40, write: (text: string) => written.push(text) > 0 }) as unknown as NodeJS.WriteStream;
  const silent = progress("reading", stream(false));
  silent.update(0.5);
  silent.end();
  expect(written).toEqual([]);
  const bar = progress("reading", stream(true));
  bar.update(0.5);
  bar.update(0.5);
  bar.update(2, "done");
  bar.end();
  bar.end();
  expect(written).toHaveLength(3);
  expect(written[0]).toContain(`${"█".repeat(15)}${"░".repeat(15)}`.slice(0, 20));
  expect(written[1]).toContain("done");
  expect(written[2]).toBe("\r\x1b[2K");
});
