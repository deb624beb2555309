import { ConfigError, memoryFiles } from "@ziggurat/runtime";
import { describe, expect, it } from "vitest";
import { loadConfig, parseConfig, parseGeneration } from "../src/config.js";

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

describe("parseConfig", () => {
  it("reads a Llama as transformers 4 writes it", () => {
    expect(parseConfig({ ...llama, head_dim: 32, rope_scaling: null })).toEqual({
      architecture: "LlamaForCausalLM",
      hiddenSize: 256,
      intermediateSize: 768,
      layers: 16,
      queryHeads: 4,
      kvHeads: 2,
      headSize: 32,
      vocabularySize: 4096,
      contextLength: 16384,
      normEpsilon: 1e-5,
      ropeTheta: 500000,
      tiedEmbeddings: true,
      attentionBias: false,
      mlpBias: false,
    });
  });
  it("reads rope_parameters as transformers 5 writes them, and fills in defaults", () => {
    const { rope_theta: _, num_key_value_heads: __, tie_word_embeddings: ___, rms_norm_eps: ____, ...rest } = llama;
    const config = parseConfig({ ...rest, rope_parameters: { rope_type: "default", rope_theta: 7000 } });
    expect(config).toMatchObject({
      ropeTheta: 7000,
      kvHeads: 4,
      headSize: 64,
      tiedEmbeddings: false,
      normEpsilon: 1e-6,
    });
    expect(parseConfig(rest).ropeTheta).toBe(10000);
  });
  it.each([
    [null, /config\.json: is null; it must be an object/],
    [[], /is \[\]/],
    [{}, /architectures is undefined; supported: LlamaForCausalLM/],
    [{ ...llama, architectures: ["GPT2LMHeadModel"] }, /architecture is "GPT2LMHeadModel"; supported: LlamaForCausalLM/],
    [{ ...llama, architectures: "LlamaForCausalLM" }, /architectures is "LlamaForCausalLM"; supported/],
    [{ ...llama, hidden_size: 0 }, /hidden_size is 0; it must be a whole number from 1 to/],
    [{ ...llama, hidden_size: 1e15 }, /hidden_size is 1000000000000000/],
    [{ ...llama, hidden_size: "256" }, /hidden_size is "256"/],
    [{ ...llama, hidden_size: undefined }, /hidden_size is undefined/],
    [{ ...llama, num_hidden_layers: -1 }, /num_hidden_layers is -1/],
    [{ ...llama, num_hidden_layers: 1.5 }, /num_hidden_layers is 1\.5/],
    [{ ...llama, vocab_size: Number.NaN }, /vocab_size is NaN/],
    [{ ...llama, num_key_value_heads: 3 }, /num_key_value_heads is 3; it must be a divisor of num_attention_heads, 4/],
    [{ ...llama, num_key_value_heads: 8 }, /num_key_value_heads is 8; it must be a whole number from 1 to 4/],
    [{ ...llama, head_dim: 63 }, /head_dim is 63; it must be even/],
    [{ ...llama, hidden_size: 257 }, /head_dim is undefined; it must be a whole number/],
    [{ ...llama, rms_norm_eps: -1 }, /rms_norm_eps is -1/],
    [{ ...llama, rope_theta: Number.POSITIVE_INFINITY }, /rope_theta is/],
    [{ ...llama, rope_theta: 0 }, /rope_theta is 0/],
    [{ ...llama, rope_scaling: { type: "yarn", factor: 4 } }, /rope_scaling asks for the rope type "yarn"; supported: default/],
    [{ ...llama, rope_parameters: { rope_type: "llama3" } }, /rope_parameters asks for the rope type "llama3"/],
    [{ ...llama, rope_parameters: { rope_theta: "x" } }, /rope_parameters: rope_theta is "x"/],
    [{ ...llama, rope_scaling: 4 }, /rope_scaling is 4; it must be an object or null/],
    [{ ...llama, partial_rotary_factor: 0.5 }, /partial_rotary_factor is 0\.5/],
    [{ ...llama, hidden_act: "gelu" }, /hidden_act is "gelu"; it must be "silu"/],
    [{ ...llama, attention_bias: "no" }, /attention_bias is "no"; it must be true or false/],
    [{ ...llama, quantization_config: { bits: 4 } }, /quantization_config is \{"bits":4\}; it must be absent/],
  ])("refuses %j", (json, message) => {
    expect(() => parseConfig(json)).toThrow(message);
    expect(() => parseConfig(json)).toThrow(ConfigError);
  });
});

describe("parseGeneration", () => {
  it("takes a number or a list, and falls back on config.json", () => {
    expect(parseGeneration({ eos_token_id: [6, 2, 6], bos_token_id: 1 }, { eos_token_id: 3 }, 10)).toEqual({
      stopIds: [6, 2],
      bosId: 1,
    });
    expect(parseGeneration(undefined, { eos_token_id: 3 }, 10)).toEqual({ stopIds: [3], bosId: undefined });
    expect(parseGeneration({ eos_token_id: null }, {}, 10)).toEqual({ stopIds: [], bosId: undefined });
  });
  it.each([[{ eos_token_id: 10 }], [{ eos_token_id: -1 }], [{ eos_token_id: [1, "2"] }], [{ bos_token_id: 0.5 }], [{ eos_token_id: {} }]])(
    "refuses %j",
    (json) => {
      expect(() => parseGeneration(json, {}, 10)).toThrow(/_token_id is .*; it must be a token id from 0 to 9/);
    },
  );
});

describe("loadConfig", () => {
  it("reads both files", async () => {
    const files = memoryFiles({ "config.json": JSON.stringify(llama), "generation_config.json": '{"eos_token_id":5}' });
    const { config, generation } = await loadConfig(files);
    expect([config.layers, generation.stopIds]).toEqual([16, [5]]);
  });
  it("says what is missing or broken", async () => {
    await expect(loadConfig(memoryFiles({}))).rejects.toThrow(/memory: has no config\.json/);
    await expect(loadConfig(memoryFiles({ "config.json": "{" }))).rejects.toThrow(/memory\/config\.json: is not JSON/);
    await expect(loadConfig(memoryFiles({ "config.json": new Uint8Array([0xff]) }))).rejects.toThrow(/is not UTF-8/);
  });
});
