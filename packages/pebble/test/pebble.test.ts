import { readFileSync } from "node:fs";
import { pebble, words } from "@ziggurat/pebble";
import { describe, expect, it } from "vitest";

describe("pebble", () => {
  it("reads parts of a file, and no other file", async () => {
    const file = (await pebble().open("model.safetensors"))!;
    const whole = readFileSync(new URL("../files/model.safetensors", import.meta.url));
    expect(file.size).toBe(whole.length);
    expect(Buffer.from(await file.read(12345, 678)).equals(whole.subarray(12345, 12345 + 678))).toBe(true);
    await expect(file.read(file.size - 1, 2)).rejects.toThrow(RangeError);
    expect(await pebble().open("../package.json")).toBeUndefined();
    expect(await pebble().open("constructor")).toBeUndefined();
  });
  it("has words that it was not trained on", async () => {
    const { train, heldout } = await words();
    expect(heldout.length).toBe(800);
    const known = new Set(train);
    expect(heldout.some((word) => known.has(word))).toBe(false);
  });
});
