import { readdirSync, readFileSync } from "node:fs";
import { type GgufTensor, type Typed, writeGguf } from "@ziggurat/bench-kit/fixtures";
import { ConfigError, type FileSource, FormatError, loadModel, memoryFiles, openModel } from "@ziggurat/runtime";
import { logProbabilities } from "@ziggurat/runtime/evaluate";
import { readGguf } from "@ziggurat/runtime/formats";
import { folder } from "@ziggurat/runtime/node";
import { reference } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";
import { type Config, ggufOf, home } from "./support/convert-checkpoint.js";

const vector = (name: string, numbers: readonly number[]): GgufTensor => ({
  name,
  shape: [numbers.length],
  type: 0,
  bytes: new Uint8Array(Float32Array.from(numbers).buffer),
});

describe("GGUF files of every family", () => {
  const cases: [name: string, architecture: string, more?: Record<string, Typed>, extra?: GgufTensor[]][] = [
    ["llama-tied", "llama"],
    ["llama-yarn", "llama"],
    ["mistral-window", "llama"],
    ["qwen2-biases", "qwen2"],
    ["qwen3-yarn", "qwen3"],
    // As in newer files; older ones leave out what all Gemma 3 models of their time had in common.
    [
      "gemma3-written-by-4",
      "gemma3",
      { "gemma3.attention.sliding_window_pattern": ["u32", 2], "gemma3.rope.freq_base_swa": ["f32", 50] },
    ],
    [
      "phi3-longrope-long",
      "phi3",
      { "phi3.rope.scaling.attn_factor": ["f32", Math.sqrt(1 + Math.log(4) / Math.log(32))] },
      [vector("rope_factors_short.weight", [1, 1.3, 1.6]), vector("rope_factors_long.weight", [1.1, 4.05, 7])],
    ],
  ];
  it.each(cases)("%s as %s: gives the log-probabilities of its checkpoint", async (name, architecture, more, extra) => {
    const expected = JSON.parse(readFileSync(`${home}/${name}/expected.json`, "utf8")) as {
      prompt: number[];
      log_probabilities: number[];
    };
    const backend = reference();
    // Gemma's scale is not in the metadata: it goes by the head size, which is not what this checkpoint has.
    const scaled = architecture === "gemma3";
    const files = memoryFiles({ "model.gguf": await ggufOf(name, architecture, more, extra) });
    const model = await loadModel(files, { backend, rows: "f32", weights: "f32" });
    const scores = await logProbabilities(model, expected.prompt);
    if (scaled) {
      const config = JSON.parse(readFileSync(`${home}/${name}/config.json`, "utf8")) as Config;
      const plain = folder(`${home}/${name}`);
      const json = new TextEncoder().encode(JSON.stringify({ ...config, query_pre_attn_scalar: config.head_dim }));
      const other = {
        ...plain,
        open: async (file: string) =>
          file === "config.json" ? memoryFiles({ file: json }).open("file") : plain.open(file),
      };
      const twin = await loadModel(other, { backend, rows: "f32", weights: "f32" });
      const wanted = await logProbabilities(twin, expected.prompt);
      scores.forEach((score, i) => void expect(Math.abs(score - wanted[i]!), `token ${i + 1}`).toBeLessThan(1e-5));
      return;
    }
    expected.log_probabilities.forEach((score, i) => {
      expect(Math.abs(scores[i]! - score), `token ${i + 1}: ${scores[i]}, not ${score}`).toBeLessThan(
        1e-3 * (1 + Math.abs(score)),
      );
    });
  });
  it("covers every family", () => {
    const families = new Set(readdirSync(home).map((name) => name.split("-")[0]));
    expect(new Set(cases.map(([name]) => name.split("-")[0]))).toEqual(families);
  });
});

const metadata = { "general.architecture": ["string", "llama"] } as const satisfies Record<string, Typed>;
const tensor = (name: string, change: Partial<GgufTensor> = {}): GgufTensor => ({
  name,
  shape: [2, 32],
  type: 8,
  bytes: new Uint8Array(68),
  ...change,
});
const open = async (bytes: Uint8Array) => readGguf((await memoryFiles({ a: bytes }).open("a"))!, "a.gguf");
const patched = (bytes: Uint8Array, at: number, ...values: number[]) => {
  const copy = bytes.slice();
  copy.set(values, at);
  return copy;
};

describe("readGguf", () => {
  const good = writeGguf({ ...metadata, list: ["i32s", [1, -2]], flag: ["bool", 1], big: ["u64", 2 ** 40] }, [
    tensor("b"),
    tensor("a", { shape: [64], type: 0, bytes: new Uint8Array(256).fill(7) }),
  ]);

  it("reads metadata and places tensors", async () => {
    const gguf = await open(good);
    expect(Object.fromEntries(gguf.metadata)).toEqual({
      "general.architecture": "llama",
      list: [1, -2],
      flag: true,
      big: 2 ** 40,
    });
    const [b, a] = [...gguf.tensors.values()];
    expect([b!.info.name, b!.info.shape, b!.dtype(), b!.bytes]).toEqual(["b", [2, 32], "q8_0", 68]);
    expect(a!.begin % 32).toBe(0);
    expect(good.subarray(a!.begin, a!.begin + a!.bytes).every((byte) => byte === 7)).toBe(true);
  });

  it("reads headers of more than a megabyte", async () => {
    const many = Array.from({ length: 200_000 }, (_, i) => `token ${i}`);
    const gguf = await open(writeGguf({ ...metadata, many: ["strings", many] }, [tensor("b")]));
    expect(gguf.metadata.get("many")).toEqual(many);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ["a file that is too short", good.subarray(0, 20), /a\.gguf: 20 bytes; a GGUF file has 24/],
    ["another magic", patched(good, 0, 0x58), /starts with "XGUF"/],
    ["version 1", patched(good, 4, 1), /is of GGUF version 1; versions 2 and 3/],
    ["a big-endian file", patched(good, 4, 0, 0, 0, 3), /is a big-endian GGUF file/],
    [
      "more tensors than fit",
      patched(good, 8, 255, 255),
      /says at byte 8 that there are 65535 tensors; the \d+ bytes that follow cannot hold them/,
    ],
    ["a count of 2^63", patched(good, 16, 0, 0, 0, 0, 0, 0, 0, 128), /there are 9223372036854775808 metadata/],
    ["a header cut short", good.subarray(0, 60), /a\.gguf: 60 bytes; what is at byte \d+ takes|says at byte/],
    ["a name that repeats", writeGguf(metadata, [tensor("w"), tensor("w")]), /has the tensor "w" twice/],
    [
      "an unknown type",
      writeGguf(metadata, [tensor("w", { type: 77 })]),
      /tensor "w" is of the element type 77, which is not known/,
    ],
    [
      "rows that are no whole blocks",
      writeGguf(metadata, [tensor("w", { shape: [2, 33] })]),
      /tensor "w": rows of 33 numbers are no whole number of Q8_0 blocks of 32/,
    ],
    ["no axes", writeGguf(metadata, [tensor("w", { shape: [] })]), /tensor "w" has 0 axes; it may have 1 to 4/],
    ["tensors beyond the file", good.subarray(0, good.length - 32), /tensor "a" ends at byte \d+; the file has \d+/],
    [
      "an alignment of 3",
      writeGguf({ "general.alignment": ["u32", 3] }, []),
      /general\.alignment is 3; it must be a power of two/,
    ],
    [
      "one part of several",
      writeGguf({ ...metadata, "split.count": ["u32", 3] }, []),
      /is one of 3 parts; they must lie side by side/,
    ],
  ])("refuses %s", async (_, bytes, message) => {
    await expect(open(bytes)).rejects.toThrow(message);
    await expect(open(bytes)).rejects.toThrow(FormatError);
  });

  /** A header of one metadata value, given as its bytes; `size` is what the file claims to have. */
  const headerOf = (value: Uint8Array, size = 0) => {
    const bytes = new Uint8Array(24 + 8 + 1 + value.length);
    bytes.set(writeGguf({}, []).subarray(0, 24));
    new DataView(bytes.buffer).setBigUint64(16, 1n, true);
    bytes.set([1, 0, 0, 0, 0, 0, 0, 0, 0x61], 24);
    bytes.set(value, 33);
    const source: FileSource = {
      size: Math.max(size, bytes.length),
      read: async (offset, length) => {
        const part = new Uint8Array(length);
        part.set(bytes.subarray(offset, offset + length));
        return part;
      },
    };
    return readGguf(source, "a.gguf");
  };
  /** Type 9, the type of the elements, how many. */
  const listOf = (element: number, length: number, ...rest: number[]) => {
    const bytes = new Uint8Array(16 + rest.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 9, true);
    view.setUint32(4, element, true);
    view.setBigUint64(8, BigInt(length), true);
    bytes.set(rest, 16);
    return bytes;
  };

  it("reads lists within lists, up to four deep", async () => {
    // Two lists: of the bytes 5 and 6, and of one string, "é".
    const inner = [...listOf(0, 2, 5, 6).subarray(4), ...listOf(8, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0xc3, 0xa9).subarray(4)];
    expect((await headerOf(listOf(9, 2, ...inner))).metadata.get("a")).toEqual([[5, 6], ["é"]]);
    let deep = listOf(0, 0);
    for (let i = 0; i < 3; i++) deep = listOf(9, 1, ...deep.subarray(4));
    expect((await headerOf(deep)).metadata.get("a")).toEqual([[[[]]]]);
    await expect(headerOf(listOf(9, 1, ...deep.subarray(4)))).rejects.toThrow(
      /a\.gguf: "a" is a list of type 9; lists/,
    );
  });

  it("gives a string that is not UTF-8 as its bytes, and reads the rest of the file", async () => {
    const strings = [1, 0, 0, 0, 0, 0, 0, 0, 0x78, 1, 0, 0, 0, 0, 0, 0, 0, 0xff];
    expect((await headerOf(listOf(8, 2, ...strings))).metadata.get("a")).toEqual(["x", Uint8Array.of(0xff)]);
    const latin1 = patched(good, new TextDecoder("latin1").decode(good).indexOf("llama"), 0xff);
    expect((await open(latin1)).metadata.get("general.architecture")).toEqual(
      Uint8Array.of(0xff, 0x6c, 0x61, 0x6d, 0x61),
    );
    const named = patched(good, new TextDecoder("latin1").decode(good).indexOf("flag"), 0xff);
    expect((await open(named)).metadata.get("\ufffdlag")).toBe(true);
  });

  it.each([0, 8, 9])("refuses a list of 150 million elements of type %d before it is read", async (element) => {
    await expect(headerOf(listOf(element, 150e6), 2 ** 33)).rejects.toThrow(
      /says at byte 41 that there are 150000000 elements of "a"; 16777216 are the most allowed/,
    );
  });

  it("bounds the elements of all lists together", async () => {
    const half = listOf(0, 2 ** 23 + 1).subarray(4);
    const nested = new Uint8Array(16 + 2 * (half.length + 2 ** 23 + 1));
    nested.set(listOf(9, 2));
    nested.set(half, 16);
    nested.set(half, 16 + half.length + 2 ** 23 + 1);
    await expect(headerOf(nested)).rejects.toThrow(
      /"a" ends beyond 16777216 elements, the most that all lists may have/,
    );
  });

  it("reads tens of thousands of lists in time that grows with their number alone", async () => {
    const each = 8 + 6 + 16;
    const header = (lists: number) => {
      const bytes = new Uint8Array(24 + lists * each);
      const view = new DataView(bytes.buffer);
      bytes.set(writeGguf({}, []).subarray(0, 24));
      view.setBigUint64(16, BigInt(lists), true);
      for (let i = 0; i < lists; i++) {
        view.setUint32(24 + i * each, 6, true);
        bytes.set(new TextEncoder().encode(String(100_000 + i)), 32 + i * each);
        bytes.set(listOf(8, 0), 38 + i * each);
      }
      return bytes;
    };
    const start = performance.now();
    expect((await open(header(65_536))).metadata.size).toBe(65_536);
    // A copy of the rest of the header for each list took about 20 s.
    expect(performance.now() - start).toBeLessThan(5000);
    await expect(open(header(65_537))).rejects.toThrow(/there are 65537 metadata; 65536 are the most allowed/);
  });

  it("refuses tensors that overlap", async () => {
    const file = writeGguf(metadata, [tensor("v"), tensor("w")]);
    const text = new TextDecoder("latin1").decode(file);
    // The second tensor's offset is the last thing of its entry.
    const at = text.lastIndexOf("w") + 1 + 4 + 16 + 4;
    await expect(open(patched(file, at, 32))).rejects.toThrow(
      /tensor "w" starts at byte \d+ and overlaps the one before it/,
    );
    await expect(open(patched(file, at, 33))).rejects.toThrow(/starts at 33, which is no multiple of 32/);
  });

  it("names an element type that is not supported", async () => {
    const gguf = await open(writeGguf(metadata, [tensor("w", { shape: [256], type: 10, bytes: new Uint8Array(84) })]));
    expect(() => gguf.tensors.get("w")!.dtype()).toThrow(/tensor "w" is Q2_K; this reader takes F32, F16, Q4_0/);
  });

  it("refuses an architecture by name", async () => {
    const opened = openModel(memoryFiles({ "m.gguf": writeGguf({ "general.architecture": ["string", "mamba"] }, []) }));
    await expect(opened).rejects.toThrow(
      /m\.gguf: architecture "mamba" is not supported; supported are llama, qwen2, qwen3, gemma3, phi3/,
    );
    await expect(opened).rejects.toThrow(ConfigError);
  });
});
