import { checkpoint, tinyLlama, writeGguf } from "@ziggurat/bench-kit/fixtures";
import {
  ConfigError,
  type FileSource,
  FormatError,
  memoryFiles,
  openModel,
  TemplateError,
  TokenizerError,
} from "@ziggurat/runtime";
import { readGguf, readSafetensors } from "@ziggurat/runtime/formats";
import { describe, it } from "vitest";
import { loadTokenizer } from "../src/text/tokenizer.js";
import { mutate, mutateJson } from "./support/mutate.js";

// Files with a few bytes wrong end in errors of our own types, or are read; nothing else. Every input comes from a
// seed, which titles name and failures print.

const typed = (error: unknown) =>
  error instanceof FormatError ||
  error instanceof ConfigError ||
  error instanceof TokenizerError ||
  error instanceof TemplateError;

/**
 * Runs `read` on mutations of the files; says which seed and file made it fail. Returns how many were read without an
 * error.
 */
async function fuzz(
  files: Readonly<Record<string, Uint8Array>>,
  first: number,
  count: number,
  read: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>,
  change: (file: Uint8Array, seed: number) => Uint8Array<ArrayBuffer> = mutate,
) {
  const all = Object.entries(files);
  let fine = 0;
  for (let seed = first; seed < first + count; seed++) {
    const [name, file] = all[seed % all.length]!;
    try {
      await read(change(file, seed));
      fine++;
    } catch (error) {
      if (!typed(error)) throw new Error(`seed ${seed}, ${name}: ${String(error)}`, { cause: error });
    }
  }
  if (fine === 0 || fine === count)
    throw new Error(
      `seeds ${first} to ${first + count - 1}: ${fine} of ${count} were read; mutations should break some and spare some`,
    );
}

const sourceOf = (bytes: Uint8Array<ArrayBuffer>): FileSource => ({
  size: bytes.byteLength,
  read: async (offset, length) => {
    if (!(offset >= 0 && length >= 0 && offset + length <= bytes.byteLength))
      throw new Error(`read of ${length} bytes at ${offset} of ${bytes.byteLength}`);
    return bytes.slice(offset, offset + length);
  },
});

const tokens = ["<unk>", "<s>", "</s>", "▁", "a", "b", "▁a", "ab", "<0x0A>", "c"];
const tensor = (name: string, shape: number[], type: number, size: number) => ({
  name,
  shape,
  type,
  bytes: new Uint8Array(size).fill(60),
});
const llama = {
  ...tinyLlama,
  "llama.attention.head_count_kv": ["i32s", [1]],
  "llama.rope.scaling.type": ["string", "linear"],
  "llama.rope.scaling.factor": ["f32", 2],
} as const;
const ggufs = {
  sentencePiece: writeGguf(
    {
      ...llama,
      "tokenizer.ggml.model": ["string", "llama"],
      "tokenizer.ggml.tokens": ["strings", tokens],
      "tokenizer.ggml.scores": ["f32s", tokens.map((_, i) => -i)],
      "tokenizer.ggml.token_type": ["i32s", [2, 3, 3, 1, 1, 1, 1, 1, 6, 1]],
      "tokenizer.ggml.bos_token_id": ["u32", 1],
      "tokenizer.chat_template": ["string", "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"],
    },
    [
      tensor("token_embd.weight", [10, 32], 8, 340),
      tensor("blk.0.attn_q.weight", [32, 32], 2, 576),
      tensor("rope_freqs.weight", [8], 0, 32),
    ],
  ),
  byteLevel: writeGguf(
    {
      ...llama,
      "tokenizer.ggml.model": ["string", "gpt2"],
      "tokenizer.ggml.pre": ["string", "smollm"],
      "tokenizer.ggml.tokens": ["strings", ["<|end|>", "a", "b", "Ġ", "ab", "Ġab"]],
      "tokenizer.ggml.merges": ["strings", ["a b", "Ġ ab"]],
      "tokenizer.ggml.token_type": ["i32s", [3, 1, 1, 1, 1, 1]],
      "tokenizer.ggml.eos_token_id": ["u32", 0],
    },
    [
      tensor("token_embd.weight", [6, 32], 1, 384),
      tensor("blk.0.attn_norm.weight", [32], 0, 128),
      tensor("output.weight", [1, 256], 12, 144),
    ],
  ),
};

describe("mutated files", () => {
  it("safetensors: are read or refused, seeds 1,000,000 to 1,049,999", async () => {
    const small = checkpoint({
      layers: 1,
      hidden: 2,
      queryHeads: 1,
      kvHeads: 1,
      headSize: 2,
      feedForward: 2,
      vocabulary: 3,
    });
    const file = (await small.files.open("model.safetensors"))!;
    await fuzz({ model: await file.read(0, file.size) }, 1_000_000, 50_000, async (bytes) => {
      const source = await readSafetensors(sourceOf(bytes), "model.safetensors");
      for (const name of source.names) await source.tensor(name).read();
    });
  }, 240_000);

  it(
    "GGUF: are read or refused, seeds 2,000,000 to 2,049,999",
    () =>
      fuzz(ggufs, 2_000_000, 50_000, async (bytes) => {
        const { tensors } = await readGguf(sourceOf(bytes), "model.gguf");
        for (const { begin, bytes: size } of tensors.values()) await sourceOf(bytes).read(begin, size);
        const model = await openModel(memoryFiles({ "model.gguf": bytes }));
        const weights = await model.weights();
        for (const name of ["model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "lm_head.weight"]) {
          if (weights.has(name)) await weights.tensor(name).read();
        }
        const tokenizer = await model.tokenizer();
        if (tokenizer) tokenizer.decode(tokenizer.encode(" ab a\nc<|end|>", { addSpecialTokens: true }));
      }),
    240_000,
  );

  it(
    "tokenizer.json: are read or refused, seeds 3,000,000 to 3,001,999",
    () =>
      fuzz(
        tokenizers(),
        3_000_000,
        2_000,
        async (bytes) => {
          const tokenizer = await loadTokenizer(
            memoryFiles({ "tokenizer.json": bytes, "tokenizer_config.json": '{"eos_token":"</s>"}' }),
          );
          tokenizer?.decode(tokenizer.encode("ab Ab\nb 12</s>é", { addSpecialTokens: true }));
        },
        (file, seed) =>
          seed % 2 === 0 ? mutate(file, seed) : encode(mutateJson(JSON.parse(new TextDecoder().decode(file)), seed)),
      ),
    120_000,
  );
});

const encode = (json: unknown): Uint8Array<ArrayBuffer> => new TextEncoder().encode(JSON.stringify(json) ?? "null");

/** One tokenizer.json of each model. */
function tokenizers(): Record<string, Uint8Array> {
  const added = [
    { id: 0, content: "</s>", special: true, normalized: false, lstrip: false, rstrip: false, single_word: false },
  ];
  const single = [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }];
  const post_processor = {
    type: "TemplateProcessing",
    single,
    pair: [],
    special_tokens: { "</s>": { id: "</s>", ids: [0], tokens: ["</s>"] } },
  };
  const ids = (pieces: readonly string[]) => Object.fromEntries(pieces.map((piece, id) => [piece, id]));
  const json = {
    bpe: {
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [
          { type: "Digits", individual_digits: true },
          { type: "ByteLevel", add_prefix_space: false, use_regex: true },
        ],
      },
      decoder: { type: "ByteLevel" },
      model: { type: "BPE", vocab: ids(["</s>", "a", "b", "Ġ", "ab", "Ġab", "Ċ"]), merges: [["a", "b"], "Ġ ab"] },
    },
    unigram: {
      normalizer: { type: "Sequence", normalizers: [{ type: "NFKC" }, { type: "Lowercase" }] },
      pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always" },
      decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always" },
      model: {
        type: "Unigram",
        unk_id: 1,
        vocab: [
          ["</s>", 0],
          ["<unk>", -9],
          ["▁", -2],
          ["a", -3],
          ["b", -3.5],
          ["▁ab", -1],
        ],
      },
    },
    wordPiece: {
      normalizer: {
        type: "BertNormalizer",
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
        lowercase: true,
      },
      pre_tokenizer: { type: "BertPreTokenizer" },
      decoder: { type: "WordPiece", prefix: "##", cleanup: true },
      model: {
        type: "WordPiece",
        unk_token: "[UNK]",
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 100,
        vocab: ids(["</s>", "[UNK]", "a", "##b", "b", "##a"]),
      },
    },
  };
  return Object.fromEntries(
    Object.entries(json).map(([name, parts]) => [
      name,
      new TextEncoder().encode(JSON.stringify({ version: "1.0", added_tokens: added, post_processor, ...parts })),
    ]),
  );
}
