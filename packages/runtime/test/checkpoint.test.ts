import { checkpoint, type GgufTensor, type Typed, tinyLlama, writeGguf } from "@ziggurat/bench-kit/fixtures";
import { ConfigError, FormatError, loadModel, memoryFiles, openModel } from "@ziggurat/runtime";
import { logProbabilities } from "@ziggurat/runtime/evaluate";
import { type Family, families, llama } from "@ziggurat/runtime/families";
import { reference } from "@ziggurat/tensor";
import { describe, expect, it } from "vitest";
import { parseJson } from "../src/files/files.js";
import { ggufOf, renamedGgufOf } from "./support/convert-checkpoint.js";

const tiny = checkpoint();
const textOf = async (name: string) => {
  const source = (await tiny.files.open(name))!;
  return new TextDecoder().decode(await source.read(0, source.size));
};
/** The tiny checkpoint with some files changed or added; undefined removes one. */
const changed = async (files: Readonly<Record<string, string | undefined>>) => {
  const all: Record<string, string | Uint8Array> = {};
  for (const name of await tiny.files.list!()) {
    const source = (await tiny.files.open(name))!;
    all[name] = await source.read(0, source.size);
  }
  for (const [name, text] of Object.entries(files)) {
    if (text === undefined) delete all[name];
    else all[name] = text;
  }
  return memoryFiles(all, "here");
};
const config = async (change: object) => JSON.stringify({ ...JSON.parse(await textOf("config.json")), ...change });

describe("a folder that holds something other than a model", () => {
  const lora = '{"peft_type": "LORA", "base_model_name_or_path": "owner/base"}';
  it.each<[string, Record<string, string | undefined>, RegExp]>([
    [
      "an adapter",
      { "config.json": undefined, "adapter_config.json": lora },
      /^here: is a LORA adapter of "owner\/base" \(adapter_config\.json\), not a model; merge it into its base model first$/,
    ],
    [
      "an adapter beside its base",
      { "adapter_config.json": lora },
      /^here: has adapter_config\.json, a LORA adapter of "owner\/base", beside the model, which would run without it/,
    ],
    [
      "an adapter that says nothing",
      { "adapter_config.json": "[]" },
      /an adapter of "another model", beside the model/,
    ],
  ])("%s is refused as such", async (_, files, message) => {
    const opened = openModel(await changed(files));
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.toThrow(ConfigError);
  });

  it("weights of another format are named", async () => {
    const { weights } = await openModel(await changed({ "model.safetensors": undefined, "pytorch_model.bin": "" }));
    await expect(weights()).rejects.toThrow(
      /has neither model\.safetensors nor .*; "pytorch_model\.bin" is of another format: convert it to safetensors first/,
    );
    const none = await openModel(await changed({ "model.safetensors": undefined }));
    await expect(none.weights()).rejects.toThrow(/has neither model\.safetensors nor model\.safetensors\.index\.json$/);
  });

  it.each([
    ["MixtralForCausalLM", { num_local_experts: 8 }],
    ["Qwen3MoeForCausalLM", { num_experts: 128 }],
    ["DeepseekV3ForCausalLM", { n_routed_experts: 256 }],
  ])("%s is refused as a mixture of experts", async (architecture, experts) => {
    const json = await config({ architectures: [architecture], ...experts });
    const [field, count] = Object.entries(experts)[0]!;
    await expect(openModel(await changed({ "config.json": json }))).rejects.toThrow(
      `here/config.json: architecture "${architecture}" (a mixture of experts: ${field} is ${count}) is not supported`,
    );
  });

  it("a known architecture with experts is refused as well, one without them is not", async () => {
    const open = async (change: object) => openModel(await changed({ "config.json": await config(change) }));
    await expect(open({ num_local_experts: 8 })).rejects.toThrow(
      /config\.json: a mixture of experts \(num_local_experts is 8\) is not supported/,
    );
    await open({ num_local_experts: 0, num_experts: null });
  });
});

describe("a GGUF file that holds something other than a model", () => {
  const tensor = (name: string): GgufTensor => ({ name, shape: [2, 32], type: 0, bytes: new Uint8Array(256) });
  const adapter = /m\.gguf: is an adapter, not a model; merge it into its base model first/;
  const encoder = /m\.gguf: is a model's encoder of images or sounds \(mmproj\), not a language model/;
  it.each<[string, Record<string, Typed>, GgufTensor[], RegExp]>([
    ["an adapter", { ...tinyLlama, "general.type": ["string", "adapter"] }, [tensor("w")], adapter],
    ["an adapter by its key", { ...tinyLlama, "adapter.type": ["string", "lora"] }, [tensor("w")], adapter],
    ["an adapter by its tensors", tinyLlama, [tensor("blk.0.attn_q.weight.lora_a")], adapter],
    ["an encoder", { "general.type": ["string", "mmproj"] }, [], encoder],
    ["an encoder by its architecture", { "general.architecture": ["string", "clip"] }, [], encoder],
    [
      "an importance matrix",
      { ...tinyLlama, "general.type": ["string", "imatrix"] },
      [],
      /m\.gguf: general\.type is "imatrix"; it must be "model"/,
    ],
    [
      "a mixture of experts",
      { ...tinyLlama, "llama.expert_count": ["u32", 4] },
      [tensor("token_embd.weight")],
      /m\.gguf: a mixture of experts \(num_experts is 4\) is not supported/,
    ],
  ])("%s is refused as such", async (_, metadata, tensors, message) => {
    const opened = openModel(memoryFiles({ "m.gguf": writeGguf(metadata, tensors) }));
    await expect(opened).rejects.toThrow(message);
    await expect(opened).rejects.toThrow(ConfigError);
  });

  it("a model of type model with no experts is read", async () => {
    const metadata = { "general.type": ["string", "model"], "llama.expert_count": ["u32", 0] } as const;
    const files = memoryFiles({ "m.gguf": await ggufOf("llama-tied", "llama", metadata) });
    expect((await openModel(files)).facts.architecture).toBe("LlamaForCausalLM");
  });
});

describe("JSON as Python writes it", () => {
  it("holds NaN and infinities", () => {
    expect(parseJson('{"a": NaN, "b": [-Infinity, Infinity, 1], "c": "NaN \\" Infinity", "NaN-": "x"}')).toEqual({
      a: Number.NaN,
      b: [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 1],
      c: 'NaN " Infinity',
      "NaN-": "x",
    });
    for (const wrong of ["{NaN", "[nan]", "[NaNs]", '"NaN', "[1, NaN"])
      expect(() => parseJson(wrong)).toThrow(SyntaxError);
  });

  it("takes time in proportion to its length", () => {
    const start = performance.now();
    expect(parseJson(`{"a": NaN, "b": "NaN${"-".repeat(3e6)}"}`)).toMatchObject({ a: Number.NaN });
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it("loads if the value is not used, and is refused by field if it is", async () => {
    const json = await textOf("config.json");
    const open = async (field: string) => openModel(await changed({ "config.json": json.replace("{", `{${field},`) }));
    expect((await open('"time_step_limit": [0.0, Infinity]')).facts.hiddenSize).toBe(32);
    await expect(open('"rope_scaling": {"type": "linear", "factor": Infinity}')).rejects.toThrow(
      /rope_scaling: factor is Infinity; it must be a number from/,
    );
    await expect(open('"partial_rotary_factor": NaN')).rejects.toThrow(/partial_rotary_factor is NaN/);
  });

  it("of more than 16 MiB is no configuration", async () => {
    const opened = openModel(await changed({ "config.json": " ".repeat(2 ** 24 + 1) }));
    await expect(opened).rejects.toThrow(/config\.json: 16777217 bytes; such a file of a model may have 16777216/);
    await expect(opened).rejects.toThrow(FormatError);
  });
});

describe("a family that the caller brings", () => {
  // Llama under other names: in config.json, in GGUF's metadata, and for one tensor of each layer.
  const mine: Family = {
    ...llama,
    architectures: ["MineForCausalLM"],
    gguf: { architecture: "mine", interleaved: true, tensors: { input_layernorm: "first_norm" } },
  };
  const ids = [5, 3, 8, 1, 9, 2];
  const scoresOf = async (files: Parameters<typeof loadModel>[0], list: readonly Family[] = [...families, mine]) => {
    const model = await loadModel(files, { backend: reference(), rows: "f32", weights: "f32", families: list });
    const scores = [...(await logProbabilities(model, ids))];
    model.free();
    return scores;
  };

  it("loads from a folder", async () => {
    const files = await changed({ "config.json": await config({ architectures: ["MineForCausalLM"] }) });
    expect(await scoresOf(files)).toEqual(await scoresOf(tiny.files));
    expect((await openModel(files, { families: [mine] })).facts.architecture).toBe("MineForCausalLM");
    await expect(openModel(files)).rejects.toThrow(
      /architecture "MineForCausalLM" is not supported; supported are Llama/,
    );
    await expect(scoresOf(tiny.files, [mine])).rejects.toThrow(
      /architecture "LlamaForCausalLM" is not supported; supported are MineForCausalLM$/,
    );
  });

  it("loads from a GGUF file", async () => {
    const usual = await ggufOf("llama-tied", "llama");
    const own = await renamedGgufOf("llama-tied", "mine", (name) => name.replace("attn_norm", "first_norm"));
    const wanted = await scoresOf(memoryFiles({ "m.gguf": usual }));
    expect(await scoresOf(memoryFiles({ "m.gguf": own }))).toEqual(wanted);
    await expect(openModel(memoryFiles({ "m.gguf": own }))).rejects.toThrow(
      /architecture "mine" is not supported; supported are llama, qwen2, qwen3, gemma3, phi3$/,
    );
  });

  it.each([[[]], ["llama"], [[{}]], [[null]], [{}]])("families %j are refused", async (list) => {
    await expect(openModel(tiny.files, { families: list as never })).rejects.toThrow(
      /^families is .*; it must be a list of model families, each with architectures and open$/,
    );
  });
});
