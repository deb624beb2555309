import { median, pebble, randomIds, randomLlama, rowBytes, table } from "@ziggurat/bench-kit";
import { openModel } from "@ziggurat/runtime";
import { expect, test } from "vitest";

test("a median is the middle, or the mean of both middles", () => {
  expect([median([5]), median([3, 1, 2]), median([4, 1, 3, 2])]).toEqual([5, 2, 2.5]);
});

test("random ids repeat with their seed and stay below the vocabulary", () => {
  const ids = randomIds(1000, 7, 3);
  expect(randomIds(1000, 7, 3)).toEqual(ids);
  expect(randomIds(1000, 7, 4)).not.toEqual(ids);
  expect(new Set(ids)).toEqual(new Set([0, 1, 2, 3, 4, 5, 6]));
});

test("a table aligns its first column left and the others right", () => {
  expect(table([["a", "value"], ["long", "1"]])).toBe("a     value\nlong      1"); // biome-ignore format: a table
});

test("a model of random weights has the shape that was asked for", async () => {
  const { facts } = await openModel(randomLlama(pebble));
  const { layers, queryHeads, kvHeads, headSize } = facts.cache;
  expect({ layers: layers.length, queryHeads, kvHeads, headSize }).toEqual({
    layers: 16,
    queryHeads: 4,
    kvHeads: 2,
    headSize: 64,
  });
  expect(facts.vocabularySize).toBe(4096);
  expect(rowBytes(pebble)).toBe(16 * 2 * 64 * 2 * 2);
});
