import { FormatError, memoryFiles } from "@ziggurat/runtime";
import { openWeights, readSafetensors } from "@ziggurat/runtime/formats";
import { describe, expect, it } from "vitest";
import { random } from "./random.js";

/** A file of a header (text, or JSON to be) and `bytes` of data. `length` overrides the header's true length. */
function file(header: unknown, data: number | Uint8Array, length?: bigint): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = typeof data === "number" ? new Uint8Array(data).map((_, i) => i) : data;
  const all = new Uint8Array(8 + text.length + bytes.length);
  new DataView(all.buffer).setBigUint64(0, length ?? BigInt(text.length), true);
  all.set(text, 8);
  all.set(bytes, 8 + text.length);
  return all;
}

const open = async (bytes: Uint8Array) =>
  readSafetensors((await memoryFiles({ a: bytes }).open("a"))!, "a.safetensors");

const good = {
  __metadata__: { format: "pt" },
  "w.b": { dtype: "BF16", shape: [2, 3], data_offsets: [0, 12] },
  "w.a": { dtype: "F32", shape: [], data_offsets: [12, 16] },
  empty: { dtype: "F16", shape: [0, 7], data_offsets: [16, 16] },
  ids: { dtype: "I64", shape: [1], data_offsets: [16, 24] },
};

describe("readSafetensors", () => {
  it("gives each tensor's bytes", async () => {
    const weights = await open(file(good, 24));
    expect(weights.names).toEqual(["w.b", "w.a", "empty", "ids"]);
    const b = weights.tensor("w.b");
    expect([b.dtype, b.shape]).toEqual(["bf16", [2, 3]]);
    expect([...(await b.read())]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect([...(await weights.tensor("w.a").read())]).toEqual([12, 13, 14, 15]);
    expect((await weights.tensor("empty").read()).length).toBe(0);
    expect(weights.has("w.c")).toBe(false);
  });

  it("takes padding after the header and names that objects have by nature", async () => {
    const weights = await open(file('{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}     ', 4));
    expect(weights.names).toEqual(["__proto__"]);
    expect(weights.has("constructor")).toBe(false);
    expect((await weights.tensor("__proto__").read()).length).toBe(4);
  });

  it("names a tensor that is not there, and one of a dtype that it does not read", async () => {
    const weights = await open(file(good, 24));
    expect(() => weights.tensor("w.c")).toThrow(/a\.safetensors: has no tensor "w\.c"; it has 4, such as w\.b/);
    expect(() => weights.tensor("ids")).toThrow(/tensor "ids" is I64; this reader takes F32, F16, BF16/);
  });

  const one = (entry: object) => ({ w: { dtype: "F32", shape: [2], data_offsets: [0, 8], ...entry } });
  const bad: [string, Uint8Array, RegExp][] = [
    ["too short for a length", new Uint8Array(7), /7 bytes; a safetensors file has 8/],
    ["huge header", file(good, 24, 2n ** 63n), /header has 9223372036854775808 bytes; 100000000 is the most/],
    ["header beyond the file", file(good, 24, 5000n), /header has 5000 bytes; the file has/],
    ["header cut short", file(good, 24, 40n), /header is not JSON/],
    ["header not UTF-8", file("{}", 0).map((b, i) => (i === 9 ? 0xff : b)), /not JSON in UTF-8/],
    ["list for a header", file([], 0), /header is \[\]/],
    ["byte-order mark", file("\ufeff{}", 0), /header/],
    ["deep nesting", file(`{"w":${"[".repeat(200_000)}${"]".repeat(200_000)}}`, 0), /tensor "w" is/],
    ["entry not an object", file({ w: 3 }, 0), /tensor "w" is 3/],
    ["unknown dtype", file(one({ dtype: "constructor" }), 8), /dtype is "constructor"; it must be one of F4/],
    ["shape not a list", file(one({ shape: 2 }), 8), /shape is 2/],
    ["negative size", file(one({ shape: [-2] }), 8), /shape is \[-2\]/],
    ["fractional size", file(one({ shape: [1.5] }), 8), /shape is \[1\.5\]/],
    ["overflowing shape", file(one({ shape: [2 ** 40, 2 ** 40] }), 8), /no whole number of bytes/],
    ["half a byte", file(one({ dtype: "F4", shape: [3] }), 8), /no whole number of bytes/],
    ["offsets not a pair", file(one({ data_offsets: [0] }), 8), /data_offsets are \[0\]/],
    ["offsets turned round", file(one({ data_offsets: [8, 0] }), 8), /hold -8 bytes; shape \[2\] of F32 takes 8/],
    ["size unlike the shape", file(one({ shape: [3] }), 8), /hold 8 bytes; shape \[3\] of F32 takes 12/],
    ["beyond the file", file(one({}), 4), /ends at byte \d+; the file has \d+/],
    ["bytes left over", file(one({}), 9), /the tensors end at byte \d+; the file has \d+/],
    ["a hole before", file(one({ data_offsets: [4, 12] }), 12), /leaves a hole/],
    [
      "overlap",
      file({ ...one({}), v: { dtype: "F32", shape: [2], data_offsets: [4, 12] } }, 12),
      /tensor "v".*overlaps/,
    ],
    [
      "one name twice",
      file(
        '{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0077" : {"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        4,
      ),
      /has "w" twice/,
    ],
    ["metadata not strings", file({ __metadata__: { a: 1 } }, 0), /__metadata__ is/],
  ];
  it.each(bad)("refuses: %s", async (_, bytes, message) => {
    const error = await open(bytes).then(
      () => undefined,
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(FormatError);
    expect((error as FormatError).message).toMatch(message);
    expect((error as FormatError).message).toMatch(/^a\.safetensors: /);
  });

  it("ends in a typed error, or reads, whatever bytes are changed", async () => {
    const seed = 7;
    const next = random(seed);
    const original = file(good, 24);
    let refused = 0;
    for (let i = 0; i < 3000; i++) {
      const bytes = original.slice(0, next() < 0.3 ? Math.floor(next() * original.length) : original.length);
      for (let n = Math.floor(next() * 4); n > 0; n--)
        bytes[Math.floor(next() * bytes.length)] = Math.floor(next() * 256);
      try {
        const weights = await open(bytes);
        for (const name of weights.names) await weights.tensor(name).read();
      } catch (error) {
        expect(error, `seed ${seed}, input ${i}`).toBeInstanceOf(FormatError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(1000);
  });
});

describe("openWeights", () => {
  const shard = (name: string, value: number) =>
    file(
      { [name]: { dtype: "F32", shape: [1], data_offsets: [0, 4] } },
      new Uint8Array(new Float32Array([value]).buffer),
    );
  const index = (map: unknown) => ({
    "model.safetensors.index.json": JSON.stringify({ metadata: {}, weight_map: map }),
    "m-1.safetensors": shard("a", 1),
    "m-2.safetensors": shard("b", 2),
  });

  it("reads shards", async () => {
    const weights = await openWeights(memoryFiles(index({ a: "m-1.safetensors", b: "m-2.safetensors" })));
    expect(weights.names).toEqual(["a", "b"]);
    expect(new Float32Array((await weights.tensor("b").read()).buffer)[0]).toBe(2);
    expect(() => weights.tensor("c")).toThrow(/index\.json: has no tensor "c"; it has 2/);
  });

  it.each([
    [{}, /has neither model\.safetensors nor/],
    [index(3), /weight_map is 3/],
    [index({ a: "../m-1.safetensors" }), /must be the name of a \.safetensors file beside/],
    [index({ a: 4 }), /must be the name/],
    [index({ a: "m-3.safetensors" }), /lists m-3\.safetensors, which is not there/],
    [index({ b: "m-1.safetensors" }), /says that tensor "b" is in m-1\.safetensors, which lacks it/],
    [{ "model.safetensors.index.json": "{" }, /is not JSON/],
  ])("refuses a bad set of files (%#)", async (files, message) => {
    await expect(openWeights(memoryFiles(files as Record<string, string>))).rejects.toThrow(message);
    await expect(openWeights(memoryFiles(files as Record<string, string>))).rejects.toBeInstanceOf(FormatError);
  });
});
