import { readFileSync } from "node:fs";
import { FormatError } from "@ziggurat/runtime";
import { convert, type StoredDType } from "@ziggurat/runtime/formats";
import { bytesOf, fromFloat16, type WeightDType, weightLayout } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";

// Random valid blocks and their float32 values as gguf-py dequantises them (subnormal scales among them).
interface Vector {
  readonly rows: number;
  readonly columns: number;
  readonly blocks: string;
  readonly values: string;
}
const { types } = JSON.parse(readFileSync(new URL("fixtures/gguf-quants.json", import.meta.url), "utf8")) as {
  types: Record<string, Vector>;
};

const floats = (array: Uint8Array) => new Float32Array(array.buffer, array.byteOffset, array.byteLength / 4);
const decode = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const vectors = Object.entries(types).map(([name, { rows, columns, blocks, values }]) => {
  const dtype = name.replace(/^Q/, "q") as StoredDType;
  return { dtype, shape: [rows, columns] as const, blocks: decode(blocks), values: floats(decode(values)) };
});

/** Numbers of the planes that a backend takes. */
function numbers(
  planes: Uint8Array,
  dtype: "q8_0" | "q4_0" | "q4_1",
  [rows, columns]: readonly [number, number],
): Float32Array {
  const { scales, minimums } = weightLayout(dtype, rows, columns);
  const half = (at: number) => fromFloat16(planes[at]! | (planes[at + 1]! << 8));
  return Float32Array.from({ length: rows * columns }, (_, i) => {
    const block = Math.floor(i / 32);
    const scale = half(scales + 2 * block);
    if (dtype === "q8_0") return scale * ((planes[i]! << 24) >> 24);
    const pair = planes[16 * block + (i % 16)]!;
    const quant = i % 32 < 16 ? pair & 15 : pair >> 4;
    return dtype === "q4_0" ? scale * (quant - 8) : scale * quant + half(minimums + 2 * block);
  });
}

describe("blocks of GGUF", () => {
  it.each(vectors)(
    "$dtype: has the float32 values of the format's own implementation, to the bit",
    ({ dtype, shape, blocks, values }) => {
      expect(floats(convert(blocks, dtype, "f32", shape))).toEqual(values);
      // From the middle of memory, and from an odd place.
      const shifted = new Uint8Array(blocks.length + 1);
      shifted.set(blocks, 1);
      expect(floats(convert(shifted.subarray(1), dtype, "f32", shape))).toEqual(values);
    },
  );

  it.each([
    ["q8_0", "q8_0"],
    ["q4_0", "q4_0"],
    ["q4_1", "q4_1"],
    ["q5_0", "q8_0"],
  ] as const)("%s: keeps its numbers, to the bit, in planes of %s", (from, to) => {
    const { shape, blocks, values } = vectors.find(({ dtype }) => dtype === from)!;
    for (const bytes of [blocks, Uint8Array.from([0, ...blocks]).subarray(1)]) {
      const planes = convert(bytes, from, to, shape);
      expect(planes.byteLength).toBe(bytesOf(to, shape));
      expect(numbers(planes, to, shape)).toEqual(values);
    }
  });

  it("q4_K: rounds nothing but its scales and minimums in planes of q4_1", () => {
    const { shape, blocks, values } = vectors.find(({ dtype }) => dtype === "q4_K")!;
    const got = numbers(convert(blocks, "q4_K", "q4_1", shape), "q4_1", shape);
    const run = (i: number, of: Float32Array) => of.subarray(i - (i % 32), i - (i % 32) + 32);
    values.forEach((value, i) => {
      // Scale x quant and minimum may cancel: both are within twice the run's greatest number and its spread.
      const all = run(i, values);
      const size = Math.max(...all.map(Math.abs)) + (Math.max(...all) - Math.min(...all));
      expect(Math.abs(got[i]! - value)).toBeLessThanOrEqual(2 ** -10 * size + 2 ** -20);
    });
  });

  it.each(["q5_1", "q5_K", "q6_K"] as const)("%s: stays within half a step of q8_0", (from) => {
    const { shape, blocks, values } = vectors.find(({ dtype }) => dtype === from)!;
    const got = numbers(convert(blocks, from, "q8_0", shape), "q8_0", shape);
    for (let start = 0; start < values.length; start += 32) {
      const most = Math.max(...values.subarray(start, start + 32).map(Math.abs));
      // Half a step, and the rounding of the step itself to 11 bits, or to the least half.
      const bound = most / 254 + most * 2 ** -11 + 127 * 2 ** -25;
      for (let i = start; i < start + 32; i++) expect(Math.abs(got[i]! - values[i]!)).toBeLessThanOrEqual(bound);
    }
  });

  it.each(["f16", "bf16", "q4_0"] as const satisfies readonly WeightDType[])(
    "q6_K: converts to %s as its float32 values do",
    (to) => {
      const { shape, blocks, values } = vectors.find(({ dtype }) => dtype === "q6_K")!;
      const plain = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      expect(convert(blocks, "q6_K", to, shape)).toEqual(convert(plain, "f32", to, shape));
    },
  );

  it("refuses bytes that do not fit the shape, and rows that are no whole blocks", () => {
    expect(() => convert(new Uint8Array(143), "q4_K", "f32", [1, 256], "w")).toThrow(
      /w: 143 bytes; shape \[1, 256\] of q4_K takes 144/,
    );
    expect(() => convert(new Uint8Array(144), "q4_K", "f32", [2, 128], "w")).toThrow(FormatError);
    expect(() => convert(new Uint8Array(144), "q4_K", "f32", [2, 128], "w")).toThrow(
      /w: rows of 128 numbers are no whole number of q4_K blocks of 256/,
    );
  });
});
