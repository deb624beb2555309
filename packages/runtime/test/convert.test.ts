import { readFileSync } from "node:fs";
import { FormatError } from "@ziggurat/runtime";
import { convert } from "@ziggurat/runtime/formats";
import { bytesOf, fromBFloat16, fromFloat16, toBFloat16, toFloat16, weightLayout } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";
import { peaky, random } from "./random.js";

const bytes = (array: Float32Array | Uint16Array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
const floats = (array: Uint8Array) => new Float32Array(array.buffer, array.byteOffset, array.byteLength / 4);
const shorts = (array: Uint8Array) => new Uint16Array(array.buffer, array.byteOffset, array.byteLength / 2);

describe("convert", () => {
  const every = new Uint16Array(65536).map((_, i) => i);

  it("gives the float32 of every half and of every bfloat16", () => {
    const half = floats(convert(bytes(every), "f16", "f32", [65536]));
    const brain = floats(convert(bytes(every), "bf16", "f32", [65536]));
    expect(half).toEqual(Float32Array.from(every, fromFloat16));
    expect(brain).toEqual(Float32Array.from(every, fromBFloat16));
  });

  it("rounds float32 to the nearest half and bfloat16, ties to even", () => {
    const next = random(1);
    const values = new Float32Array(70_000);
    for (let i = 0; i < values.length; i++) values[i] = (next() - 0.5) * 2 ** Math.floor(next() * 60 - 40);
    values.set([
      0,
      -0,
      65504,
      65519.99,
      65520,
      -65520,
      2 ** -24,
      2 ** -25,
      1.5 * 2 ** -24,
      2 ** -14 - 2 ** -26,
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
      1e38,
      Infinity,
      -Infinity,
      NaN,
    ]);
    const half = shorts(convert(bytes(values), "f32", "f16", [values.length]));
    const brain = shorts(convert(bytes(values), "f32", "bf16", [values.length]));
    expect(half).toEqual(Uint16Array.from(values, toFloat16));
    expect(brain).toEqual(Uint16Array.from(values, toBFloat16));
  });

  it("reads from an odd place in memory", () => {
    const shifted = new Uint8Array(9);
    shifted.set(bytes(new Float32Array([1.5, -2])), 1);
    const brain = convert(shifted.subarray(1), "f32", "bf16", [2]);
    expect([...shorts(brain)].map(fromBFloat16)).toEqual([1.5, -2]);
  });

  it("refuses an unknown option", () => {
    expect(() => convert(new Uint8Array(4), "f32", "f32", [1], "a", { rows: 1 } as never)).toThrow(
      'convert: no option is called "rows"; there are into, row',
    );
  });
  it("refuses bytes that do not fit the shape", () => {
    expect(() => convert(new Uint8Array(10), "bf16", "f32", [2, 3], "w")).toThrow(
      /w: 10 bytes; shape \[2, 3\] of bf16 takes 12/,
    );
  });
});

/** What a block's weights are, from the planes. */
function weight(planes: Uint8Array, dtype: "q8_0" | "q4_0", out: number, width: number, o: number, i: number): number {
  const layout = weightLayout(dtype, out, width);
  const block = (o * width + i) >> 5;
  const scale = fromFloat16(new DataView(planes.buffer).getUint16(layout.scales + 2 * block, true));
  if (dtype === "q8_0") return scale * ((planes[o * width + i]! << 24) >> 24);
  const byte = planes[16 * block + (i & 15)]!;
  return scale * (((i & 31) < 16 ? byte & 15 : byte >> 4) - 8);
}

describe("quantise", () => {
  const out = 70;
  const width = 512;
  const seed = 5;
  const next = random(seed);
  const values = new Float32Array(out * width).map(() => peaky(next));
  values.fill(0, 64, 96);

  it.each([
    ["q8_0", 1 / 254],
    ["q4_0", 1 / 15],
  ] as const)("%s stays within half a step of each weight", (dtype, half) => {
    const planes = convert(bytes(values), "f32", dtype, [out, width]);
    expect(planes.byteLength).toBe(bytesOf(dtype, [out, width]));
    const wrong: number[][] = [];
    for (let o = 0; o < out; o++) {
      for (let b = 0; b < width; b += 32) {
        const block = values.subarray(o * width + b, o * width + b + 32);
        const most = Math.max(...block.map(Math.abs));
        // q4_0 has 15 steps from -8 to 7 times the scale: the far end may be off by one step. The scale itself is
        // rounded to 11 bits.
        const bound = dtype === "q8_0" ? most * half * 1.1 : most / 8 + most / 500;
        for (let i = 0; i < 32; i++) {
          const got = weight(planes, dtype, out, width, o, b + i);
          if (!(Math.abs(got - block[i]!) <= bound)) wrong.push([o, b + i, got, block[i]!]);
        }
      }
    }
    expect(wrong, `seed ${seed}`).toEqual([]);
  });

  it("rounds halves away from zero in q8_0, and gives the extreme weight -8 in q4_0", () => {
    const block = new Float32Array(32);
    block.set([127, 2.5, -2.5, 0.5, -0.5, 1.49, -127]);
    const eight = new Int8Array(convert(bytes(block), "f32", "q8_0", [1, 32]).buffer, 0, 7);
    expect([...eight]).toEqual([127, 3, -3, 1, -1, 1, -127]);
    block.fill(0).set([8, -8, 4, 1], 0);
    const four = convert(bytes(block), "f32", "q4_0", [1, 32]);
    expect([...four.subarray(0, 4)].map((b) => b & 15)).toEqual([0, 15, 4, 7]);
    expect(fromFloat16(shorts(four)[8]!)).toBe(-1);
  });

  it.each([
    ["q8_0", 34],
    ["q4_0", 18],
  ] as const)("%s makes the blocks that gguf-py makes", (dtype, size) => {
    const fixture = JSON.parse(readFileSync(new URL("./fixtures/quantise.json", import.meta.url), "utf8")) as Record<
      string,
      string
    >;
    const blocks = Buffer.from(fixture[dtype]!, "base64");
    const planes = convert(new Uint8Array(Buffer.from(fixture.weights!, "base64")), "f32", dtype, [64, 64]);
    const { scales } = weightLayout(dtype, 64, 64);
    for (let block = 0; block < 128; block++) {
      const expected = blocks.subarray(block * size, (block + 1) * size);
      const quants = planes.subarray(block * (size - 2), (block + 1) * (size - 2));
      expect([...planes.subarray(scales + 2 * block, scales + 2 * block + 2), ...quants], `block ${block}`).toEqual([
        ...expected,
      ]);
    }
  });

  it("gives the same from bf16 as from the float32 of it", () => {
    const brain = convert(bytes(values), "f32", "bf16", [out, width]);
    const back = convert(brain, "bf16", "f32", [out, width]);
    expect(convert(brain, "bf16", "q8_0", [out, width])).toEqual(convert(back, "f32", "q8_0", [out, width]));
  });

  it.each([Number.NaN, Infinity, -Infinity, 1e30])("names the block that holds %d", (bad) => {
    for (const at of [0, 33 * width + 64, 33 * width + 95]) {
      const copy = values.slice();
      copy[at] = bad;
      for (const dtype of ["q8_0", "q4_0"] as const) {
        const place = at === 0 ? "0, 0" : "33, 64";
        expect(() => convert(bytes(copy), "f32", dtype, [out, width], "w")).toThrow(
          new RegExp(`w: the block at \\[${place}\\]`),
        );
      }
    }
  });

  it("refuses what does not suit blocks", () => {
    expect(() => convert(new Uint8Array(4 * 40), "f32", "q8_0", [1, 40], "w")).toThrow(FormatError);
    expect(() => convert(new Uint8Array(4 * 32), "f32", "q4_1", [1, 32], "w")).toThrow(/not to q4_1/);
  });
});
