import { fromBFloat16, fromFloat16, toBFloat16, toFloat16 } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";

describe("f16", () => {
  it("gives every one of the 65,536 patterns back", () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = fromFloat16(bits);
      if (Number.isNaN(value)) expect(Number.isNaN(fromFloat16(toFloat16(value)))).toBe(true);
      else if (toFloat16(value) !== bits)
        expect.fail(`${bits.toString(16)} is ${value}, which gives ${toFloat16(value).toString(16)}`);
    }
  });

  it.each([
    ["one", 1, 0x3c00],
    ["minus two", -2, 0xc000],
    ["minus zero", -0, 0x8000],
    ["a third", 1 / 3, 0x3555],
    ["the greatest", 65504, 0x7bff],
    ["the last that rounds down", 65519.996, 0x7bff],
    ["the first that overflows", 65520, 0x7c00],
    ["infinity", Number.NEGATIVE_INFINITY, 0xfc00],
    ["NaN", Number.NaN, 0x7e00],
    ["a tie to the even below", 1 + 2 ** -11, 0x3c00],
    ["a tie to the even above", 1 + 3 * 2 ** -11, 0x3c02],
    ["just above a tie", 1 + 2 ** -11 + 2 ** -20, 0x3c01],
    ["a tie that carries into the exponent", 2 - 2 ** -11, 0x4000],
    ["the least normal", 2 ** -14, 0x0400],
    ["the greatest subnormal", 2 ** -14 - 2 ** -24, 0x03ff],
    ["a tie between subnormal and normal", 2 ** -14 - 2 ** -25, 0x0400],
    ["the least subnormal", 2 ** -24, 0x0001],
    ["half of it, a tie to zero", 2 ** -25, 0x0000],
    ["a little more than half of it", 2 ** -25 * 1.01, 0x0001],
    ["one and a half of it, a tie up", 3 * 2 ** -25, 0x0002],
  ])("rounds %s", (_, value, bits) => {
    expect(toFloat16(value)).toBe(bits);
  });
});

describe("bf16", () => {
  it("gives every one of the 65,536 patterns back", () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = fromBFloat16(bits);
      if (Number.isNaN(value)) expect(Number.isNaN(fromBFloat16(toBFloat16(value)))).toBe(true);
      else if (toBFloat16(value) !== bits)
        expect.fail(`${bits.toString(16)} is ${value}, which gives ${toBFloat16(value).toString(16)}`);
    }
  });

  it.each([
    ["one", 1, 0x3f80],
    ["minus zero", -0, 0x8000],
    ["pi", Math.PI, 0x4049],
    ["a tie to the even below", 1 + 2 ** -8, 0x3f80],
    ["a tie to the even above", 1 + 3 * 2 ** -8, 0x3f82],
    ["just above a tie", 1 + 2 ** -8 + 2 ** -20, 0x3f81],
    ["a tie that carries into the exponent", 2 - 2 ** -8, 0x4000],
    ["the greatest f32, which overflows", 3.4028234663852886e38, 0x7f80],
    ["minus infinity", Number.NEGATIVE_INFINITY, 0xff80],
    ["the least subnormal of f32", 2 ** -149, 0x0000],
    ["the least subnormal", 2 ** -133, 0x0001],
    ["half of it, a tie to zero", 2 ** -134, 0x0000],
    ["one and a half of it, a tie up", 3 * 2 ** -134, 0x0002],
  ])("rounds %s", (_, value, bits) => {
    expect(toBFloat16(value)).toBe(bits);
  });

  it("keeps NaN a NaN, whatever its bits", () => {
    const word = new Uint32Array([0x7f800001, 0xffffffff, 0x7fc00000]);
    for (const value of new Float32Array(word.buffer)) expect(fromBFloat16(toBFloat16(value))).toBeNaN();
  });
});
