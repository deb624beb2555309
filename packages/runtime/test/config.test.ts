import { ConfigError, memoryFiles, openModel } from "@ziggurat/runtime";
import { describe, expect, it } from "vitest";
import { parseGeneration } from "../src/files/config.js";
import { random } from "./random.js";

const llama = {
  architectures: ["LlamaForCausalLM"],
  hidden_size: 256,
  intermediate_size: 768,
  num_hidden_layers: 16,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 4096,
  max_position_embeddings: 16384,
  rms_norm_eps: 1e-5,
  rope_theta: 500000,
  hidden_act: "silu",
  tie_word_embeddings: true,
};
const open = async (config: unknown, options = {}) =>
  (await openModel(memoryFiles({ "config.json": JSON.stringify(config) ?? "null" }), options)).facts;

/** Frequencies of the plain rotary embedding. */
const plain = (theta: number, rotary: number) =>
  Array.from({ length: rotary / 2 }, (_, j) => theta ** ((-2 * j) / rotary));
const close = (got: Float32Array, wanted: readonly number[]) => {
  expect(got.length).toBe(wanted.length);
  wanted.forEach((value, j) => {
    expect(Math.abs(got[j]! / value - 1), `frequency ${j}: ${got[j]}, not ${value}`).toBeLessThan(1e-6);
  });
};

describe("config.json", () => {
  it("reads a Llama as transformers 4 writes it", async () => {
    const facts = await open({ ...llama, head_dim: 32, rope_scaling: null });
    expect(facts).toMatchObject({
      architecture: "LlamaForCausalLM",
      hiddenSize: 256,
      vocabularySize: 4096,
      contextLength: 16384,
      endTokens: [],
    });
    expect(facts.cache).toMatchObject({
      queryHeads: 4,
      kvHeads: 2,
      headSize: 32,
      scale: 1 / Math.sqrt(32),
      softcap: 0,
    });
    expect(facts.cache.layers).toEqual(Array.from({ length: 16 }, () => ({ kind: "global" })));
    expect(new Set(facts.ropes).size).toBe(1);
    close(facts.ropes[0]!.frequencies, plain(500000, 32));
  });

  it("reads rope_parameters as transformers 5 writes them, and fills in defaults", async () => {
    const { rope_theta: _, num_key_value_heads: __, tie_word_embeddings: ___, rms_norm_eps: ____, ...rest } = llama;
    const facts = await open({ ...rest, rope_parameters: { rope_type: "default", rope_theta: 7000 } });
    expect(facts.cache).toMatchObject({ kvHeads: 4, headSize: 64 });
    close(facts.ropes[0]!.frequencies, plain(7000, 64));
    close((await open(rest)).ropes[0]!.frequencies, plain(10000, 64));
  });

  it("divides frequencies for linear scaling, however it is written", async () => {
    const wanted = plain(500000, 64).map((frequency) => frequency / 4);
    for (const rope of [
      { rope_scaling: { type: "linear", factor: 4 } },
      { rope_parameters: { rope_type: "linear", factor: 4, rope_theta: 500000 } },
    ]) {
      close((await open({ ...llama, ...rope })).ropes[0]!.frequencies, wanted);
    }
  });

  it("gives yarn the context that its scaling allows", async () => {
    const facts = await open({
      ...llama,
      rope_scaling: { type: "yarn", factor: 4, original_max_position_embeddings: 16384 },
    });
    expect(facts.contextLength).toBe(65536);
    expect(facts.ropes[0]!.factor).toBeCloseTo(0.1 * Math.log(4) + 1, 12);
  });

  it("chooses longrope's factors by the length that will be read", async () => {
    const rope_scaling = { type: "longrope", short_factor: new Array(32).fill(2), long_factor: new Array(32).fill(8) };
    const config = { ...llama, rope_scaling, original_max_position_embeddings: 4096 };
    const long = await open(config);
    close(
      long.ropes[0]!.frequencies,
      plain(500000, 64).map((x) => x / 8),
    );
    expect(long.ropes[0]!.factor).toBeCloseTo(Math.sqrt(1 + Math.log(4) / Math.log(4096)), 12);
    const short = await open(config, { contextLength: 4096 });
    close(
      short.ropes[0]!.frequencies,
      plain(500000, 64).map((x) => x / 2),
    );
    expect(short.contextLength).toBe(4096);
    await expect(open(config, { contextLength: 16385 })).rejects.toThrow(
      /the model reads 16384 tokens; contextLength is 16385/,
    );
    await expect(open(config, { contextLength: 0 })).rejects.toThrow(/contextLength is 0; it must be a whole number/);
  });

  it("distinguishes sliding layers from global ones", async () => {
    const windows = async (config: object) =>
      (await open({ ...llama, num_hidden_layers: 4, ...config })).cache.layers.map((layer) =>
        layer.kind === "sliding" ? layer.window : undefined,
      );
    expect(await windows({ architectures: ["MistralForCausalLM"], sliding_window: 9 })).toEqual([9, 9, 9, 9]);
    expect(await windows({ architectures: ["MistralForCausalLM"], sliding_window: null })).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    const qwen = { architectures: ["Qwen2ForCausalLM"], sliding_window: 9, max_window_layers: 3 };
    expect(await windows({ ...qwen, use_sliding_window: false })).toEqual([undefined, undefined, undefined, undefined]);
    expect(await windows({ ...qwen, use_sliding_window: true })).toEqual([undefined, undefined, undefined, 9]);
    const gemma = {
      architectures: ["Gemma3ForCausalLM"],
      hidden_activation: "gelu_pytorch_tanh",
      head_dim: 64,
      sliding_window: 9,
    };
    expect(await windows({ ...gemma, sliding_window_pattern: 2 })).toEqual([9, undefined, 9, undefined]);
    const layer_types = ["full_attention", "sliding_attention", "sliding_attention", "full_attention"];
    expect(await windows({ ...gemma, layer_types })).toEqual([undefined, 9, 9, undefined]);
  });

  it("rotates Gemma's sliding and global layers differently, as both versions write it", async () => {
    const gemma = {
      ...llama,
      architectures: ["Gemma3ForCausalLM"],
      head_dim: 64,
      num_hidden_layers: 2,
      sliding_window_pattern: 2,
      rope_theta: undefined,
    };
    const rope_scaling = { rope_type: "linear", factor: 8 };
    const four = { ...gemma, rope_theta: 1e6, rope_local_base_freq: 1e4, rope_scaling };
    const five = {
      ...gemma,
      rope_parameters: {
        sliding_attention: { rope_type: "default", rope_theta: 1e4 },
        full_attention: { ...rope_scaling, rope_theta: 1e6 },
      },
    };
    for (const config of [four, five]) {
      const { ropes } = await open(config);
      close(ropes[0]!.frequencies, plain(1e4, 64));
      close(
        ropes[1]!.frequencies,
        plain(1e6, 64).map((x) => x / 8),
      );
    }
  });

  const named =
    "LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, Gemma3ForCausalLM, Phi3ForCausalLM";
  it.each([
    [null, /config\.json: architecture null is not supported/],
    [[], /architecture null/],
    [{}, new RegExp(`architecture null is not supported; supported are ${named}`)],
    [
      { ...llama, architectures: ["GPT2LMHeadModel"] },
      new RegExp(`architecture "GPT2LMHeadModel" is not supported; supported are ${named}`),
    ],
    [{ ...llama, architectures: "LlamaForCausalLM" }, /architecture null is not supported/],
    [{ ...llama, hidden_size: 0 }, /hidden_size is 0; it must be a whole number from 2 to/],
    [{ ...llama, hidden_size: 1e15 }, /hidden_size is 1000000000000000/],
    [{ ...llama, hidden_size: "256" }, /hidden_size is "256"/],
    [{ ...llama, hidden_size: undefined }, /hidden_size is undefined/],
    [{ ...llama, num_hidden_layers: -1 }, /num_hidden_layers is -1/],
    [{ ...llama, num_hidden_layers: 1.5 }, /num_hidden_layers is 1\.5/],
    [{ ...llama, vocab_size: Number.NaN }, /vocab_size is null/],
    [{ ...llama, num_key_value_heads: 3 }, /num_key_value_heads is 3; it must be a divisor of num_attention_heads, 4/],
    [{ ...llama, num_key_value_heads: 8 }, /num_key_value_heads is 8; it must be a whole number from 1 to 4/],
    [{ ...llama, head_dim: 63 }, /head_dim is 63; it must be even/],
    [{ ...llama, hidden_size: 258 }, /head_dim is undefined; it must be a whole number/],
    [{ ...llama, hidden_size: 257 }, /hidden_size is 257; it must be even/],
    [{ ...llama, rms_norm_eps: -1 }, /rms_norm_eps is -1/],
    [{ ...llama, rope_theta: "much" }, /rope_theta is/],
    [{ ...llama, rope_theta: 0 }, /rope_theta is 0/],
    [
      { ...llama, rope_scaling: { type: "dynamic", factor: 4 } },
      /rope_scaling asks for the rope type "dynamic"; supported: default, linear, llama3, yarn, longrope/,
    ],
    [{ ...llama, rope_scaling: { type: "linear" } }, /rope_scaling: factor is undefined; it must be a number/],
    [
      { ...llama, rope_parameters: { rope_type: "llama3", factor: 8 } },
      /rope_parameters: low_freq_factor is undefined/,
    ],
    [
      { ...llama, rope_scaling: { type: "longrope", short_factor: [1], long_factor: [1] } },
      /short_factor is \[1\]; it must be a list of 32 numbers/,
    ],
    [
      { ...llama, rope_theta: 1, rope_scaling: { rope_type: "yarn", factor: 4 } },
      /rope_scaling: rope_theta is 1; it must be above 1 for yarn/,
    ],
    [
      { ...llama, rope_scaling: { rope_type: "yarn", factor: 1e6, original_max_position_embeddings: 2 ** 27 } },
      /rope_scaling: factor is 1000000; it must be at most 1: with 134217728 tokens before/,
    ],
    [
      {
        ...llama,
        rope_theta: 1.01,
        rope_scaling: { rope_type: "yarn", factor: 1, original_max_position_embeddings: 1e8 },
      },
      /no frequency of 32 lies between beta_fast and beta_slow/,
    ],
    [
      { ...llama, rope_scaling: { rope_type: "yarn", factor: 4, beta_fast: 1, beta_slow: 32 } },
      /beta_fast is 1; it must be greater than beta_slow, 32/,
    ],
    [
      { ...llama, rope_scaling: { rope_type: "yarn", factor: 4, attention_factor: 0 } },
      /rope_scaling: attention_factor is 0; it must be a number from 0\.001/,
    ],
    [
      {
        ...llama,
        rope_scaling: {
          ...{ type: "longrope", short_factor: new Array(32).fill(1), long_factor: new Array(32).fill(1), factor: 4 },
          original_max_position_embeddings: 1,
        },
      },
      /original_max_position_embeddings is 1; longrope divides by its logarithm/,
    ],
    [{ ...llama, rope_parameters: { rope_theta: "x" } }, /rope_parameters: rope_theta is "x"/],
    [{ ...llama, rope_scaling: 4 }, /rope_scaling is 4; it must be an object or null/],
    [{ ...llama, partial_rotary_factor: 0.01 }, /partial_rotary_factor 0\.01 turns 0 numbers of a head/],
    [{ ...llama, hidden_act: "gelu" }, /hidden_act is "gelu"; it must be "silu"/],
    [{ ...llama, attention_bias: "no" }, /attention_bias is "no"; it must be true or false/],
    [{ ...llama, quantization_config: { bits: 4 } }, /quantization_config is \{"bits":4\}; it must be absent/],
    [
      { ...llama, architectures: ["Qwen3ForCausalLM"], layer_types: ["full_attention"] },
      /layer_types is .*; it must be a list of 16/,
    ],
  ])("refuses %j", async (json, message) => {
    const opened = open(json);
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.toThrow(ConfigError);
  });

  it("gives finite frequencies above 0, or refuses: 20,000 extreme rotary embeddings", async () => {
    const next = random(11);
    const any = <T>(...values: readonly T[]): T => values[Math.floor(next() * values.length)]!;
    const huge = [undefined, 0, 1e-12, 1e-6, 1e-3, 0.5, 1, 1.0000001, 1.5, 2, 32, 1e3, 1e6, 1e12, 2 ** 27, 1e300];
    const counts = [undefined, 0, 1, 2, 3, 64, 4096, 2 ** 20, 2 ** 27];
    let opened = 0;
    for (let i = 0; i < 20_000; i++) {
      const list = () => new Array(32).fill(any(1e-6, 1e-5, 1, 64, 1e5, 1e6, 1e12));
      const rope_scaling = {
        rope_type: any("default", "linear", "llama3", "yarn", "longrope"),
        factor: any(...huge),
        original_max_position_embeddings: any(...counts),
        low_freq_factor: any(1, ...huge),
        high_freq_factor: any(4, ...huge),
        beta_fast: any(undefined, ...huge),
        beta_slow: any(undefined, ...huge),
        mscale: any(undefined, ...huge),
        mscale_all_dim: any(undefined, ...huge),
        attention_factor: any(undefined, undefined, ...huge),
        truncate: any(undefined, true, false),
        short_factor: list(),
        long_factor: list(),
      };
      const config = { ...llama, num_hidden_layers: 1, rope_theta: any(1e4, ...huge), rope_scaling };
      const max_position_embeddings = any(16384, ...counts);
      const facts = await open({ ...config, max_position_embeddings }).catch((error: unknown) => {
        expect(error).toBeInstanceOf(ConfigError);
      });
      if (!facts) continue;
      opened++;
      const { frequencies, factor } = facts.ropes[0]!;
      const right = [factor, ...frequencies].every((number) => number > 0 && Number.isFinite(number));
      expect(right, JSON.stringify({ rope_scaling, factor, frequencies })).toBe(true);
      expect(facts.contextLength).toBeLessThanOrEqual(2 ** 27);
    }
    expect(opened).toBeGreaterThan(1000);
  });

  it("reads generation_config.json, and names a file that is missing or broken", async () => {
    const files = memoryFiles({ "config.json": JSON.stringify(llama), "generation_config.json": '{"eos_token_id":5}' });
    expect((await openModel(files)).facts.endTokens).toEqual([5]);
    await expect(openModel(memoryFiles({}))).rejects.toThrow(/memory: has no config\.json and no \.gguf file/);
    await expect(openModel(memoryFiles({ "a.gguf": "", "b.gguf": "" }))).rejects.toThrow(
      /2 models in \.gguf files \(a\.gguf, b\.gguf\); there must be/,
    );
    await expect(openModel(memoryFiles({ "config.json": "{" }))).rejects.toThrow(/memory\/config\.json: is not JSON/);
    await expect(openModel(memoryFiles({ "config.json": new Uint8Array([0xff]) }))).rejects.toThrow(/is not UTF-8/);
  });
});

describe("parseGeneration", () => {
  it("takes a number or a list, by default that of config.json", () => {
    expect(parseGeneration({ eos_token_id: [6, 2, 6], bos_token_id: 1 }, { eos_token_id: 3 }, 10)).toEqual({
      stopIds: [6, 2],
      bosId: 1,
    });
    expect(parseGeneration(undefined, { eos_token_id: 3 }, 10)).toEqual({ stopIds: [3], bosId: undefined });
    expect(parseGeneration({ eos_token_id: null }, {}, 10)).toEqual({ stopIds: [], bosId: undefined });
  });
  it.each([
    [{ eos_token_id: 10 }],
    [{ eos_token_id: -1 }],
    [{ eos_token_id: [1, "2"] }],
    [{ bos_token_id: 0.5 }],
    [{ eos_token_id: {} }],
  ])("refuses %j", (json) => {
    expect(() => parseGeneration(json, {}, 10)).toThrow(/_token_id is .*; it must be a token id from 0 to 9/);
  });
});
