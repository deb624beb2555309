import { Buffers, rotaryFrequencies } from "@ziggurat/cache";
import type { Backend, Buffer, Kernel, Slice } from "@ziggurat/tensor";
import { type GenerationConfig, type LlamaConfig, parseConfig, parseGeneration } from "../config.js";
import { loadMatrix, loadVector, type Matrix, type MatrixPlan, matrixBytes, planMatrix } from "../weights/matrix.js";
import type { WeightSource } from "../weights/source.js";
import type { Family, Forward, LoadedWeights, LoadWeightsOptions, ModelFacts } from "./family.js";

// Llama: RMS norm, rotary attention with grouped queries, RMS norm, gated feed-forward (Touvron et al., 2023, arXiv 2302.13971 and 2307.09288). Names of weights
// are those of transformers' LlamaForCausalLM.

export const llama: Family = {
  architectures: ["LlamaForCausalLM"],
  open({ json, file, generation: generationJson, generationFile }) {
    const read = parseConfig(json, file);
    const generation = parseGeneration(generationJson, json, read.vocabularySize, generationFile);
    return {
      facts: factsOf(read, generation),
      weightBytes: (source, dtype) => weightBytes(read, source, dtype),
      load: (source, options) => load(read, source, options),
    };
  },
};

function factsOf(config: LlamaConfig, { stopIds }: GenerationConfig): ModelFacts {
  const { layers, queryHeads, kvHeads, headSize } = config;
  const frequencies = rotaryFrequencies(config.ropeTheta, headSize);
  return {
    architecture: config.architecture,
    hiddenSize: config.hiddenSize,
    vocabularySize: config.vocabularySize,
    contextLength: config.contextLength,
    cache: {
      layers: Array.from({ length: layers }, () => ({ kind: "global" as const, kvHeads, headSize })),
      queryHeads,
      kvHeads,
      headSize,
      scale: 1 / Math.sqrt(headSize),
      softcap: 0,
    },
    frequencies: Array.from({ length: layers }, () => frequencies),
    endTokens: stopIds,
  };
}

interface LayerPlan {
  readonly qkv: MatrixPlan;
  readonly output: MatrixPlan;
  readonly gateUp: MatrixPlan;
  readonly down: MatrixPlan;
}

function plans(config: LlamaConfig, source: WeightSource, dtype: LoadWeightsOptions["dtype"]) {
  const { hiddenSize, queryHeads, kvHeads, headSize, intermediateSize, vocabularySize, tiedEmbeddings, layers } = config;
  const matrix = (names: string[], parts: number[], width: number) => planMatrix(source, names, parts, width, dtype);
  const layer = (index: number): LayerPlan => {
    const at = (name: string) => `model.layers.${index}.${name}.weight`;
    return {
      qkv: matrix(
        ["q", "k", "v"].map((x) => at(`self_attn.${x}_proj`)),
        [queryHeads * headSize, kvHeads * headSize, kvHeads * headSize],
        hiddenSize,
      ),
      output: matrix([at("self_attn.o_proj")], [hiddenSize], queryHeads * headSize),
      gateUp: matrix([at("mlp.gate_proj"), at("mlp.up_proj")], [intermediateSize, intermediateSize], hiddenSize),
      down: matrix([at("mlp.down_proj")], [hiddenSize], intermediateSize),
    };
  };
  return {
    embedding: matrix(["model.embed_tokens.weight"], [vocabularySize], hiddenSize),
    head: tiedEmbeddings ? undefined : matrix(["lm_head.weight"], [vocabularySize], hiddenSize),
    layers: Array.from({ length: layers }, (_, index) => layer(index)),
  };
}

function weightBytes(config: LlamaConfig, source: WeightSource, dtype: LoadWeightsOptions["dtype"]): number {
  const { embedding, head, layers } = plans(config, source, dtype);
  const matrices = [embedding, ...(head ? [head] : []), ...layers.flatMap((layer) => Object.values(layer) as MatrixPlan[])];
  const { hiddenSize, queryHeads, kvHeads, headSize, intermediateSize, attentionBias, mlpBias } = config;
  const biases = (attentionBias ? (queryHeads + 2 * kvHeads) * headSize + hiddenSize : 0) + (mlpBias ? 2 * intermediateSize + hiddenSize : 0);
  return matrices.reduce((sum, plan) => sum + matrixBytes(plan), 4 * hiddenSize) + layers.length * 4 * (2 * hiddenSize + biases);
}

interface Layer {
  readonly attentionNorm: Slice;
  readonly qkv: Matrix;
  readonly qkvBias: Slice | undefined;
  readonly output: Matrix;
  readonly outputBias: Slice | undefined;
  readonly feedForwardNorm: Slice;
  readonly gateUp: Matrix;
  readonly gateUpBias: Slice | undefined;
  readonly down: Matrix;
  readonly downBias: Slice | undefined;
}

interface Weights {
  readonly embedding: Matrix;
  readonly head: Matrix;
  readonly norm: Slice;
  readonly layers: readonly Layer[];
}

async function load(config: LlamaConfig, source: WeightSource, { backend, dtype, onProgress }: LoadWeightsOptions): Promise<LoadedWeights> {
  const owned: Buffer[] = [];
  const free = () => owned.splice(0).forEach((buffer) => backend.free(buffer));
  try {
    const plan = plans(config, source, dtype);
    const total = weightBytes(config, source, dtype);
    const tell = () =>
      onProgress?.(
        owned.reduce((sum, { bytes }) => sum + bytes, 0),
        total,
      );
    const matrix = (what: MatrixPlan) => loadMatrix(backend, source, what, owned);
    const vector = (names: string[], widths: number[]) => loadVector(backend, source, names, widths, owned);
    const { hiddenSize, queryHeads, kvHeads, headSize, intermediateSize, attentionBias, mlpBias } = config;
    const embedding = await matrix(plan.embedding);
    const layers: Layer[] = [];
    for (const [index, parts] of plan.layers.entries()) {
      const at = (name: string) => `model.layers.${index}.${name}`;
      const heads = [queryHeads * headSize, kvHeads * headSize, kvHeads * headSize];
      layers.push({
        attentionNorm: await vector([at("input_layernorm.weight")], [hiddenSize]),
        qkv: await matrix(parts.qkv),
        qkvBias: attentionBias
          ? await vector(
              ["q", "k", "v"].map((x) => at(`self_attn.${x}_proj.bias`)),
              heads,
            )
          : undefined,
        output: await matrix(parts.output),
        outputBias: attentionBias ? await vector([at("self_attn.o_proj.bias")], [hiddenSize]) : undefined,
        feedForwardNorm: await vector([at("post_attention_layernorm.weight")], [hiddenSize]),
        gateUp: await matrix(parts.gateUp),
        gateUpBias: mlpBias ? await vector([at("mlp.gate_proj.bias"), at("mlp.up_proj.bias")], [intermediateSize, intermediateSize]) : undefined,
        down: await matrix(parts.down),
        downBias: mlpBias ? await vector([at("mlp.down_proj.bias")], [hiddenSize]) : undefined,
      });
      tell();
    }
    const norm = await vector(["model.norm.weight"], [hiddenSize]);
    const head = plan.head ? await matrix(plan.head) : embedding;
    await backend.synchronise();
    tell();
    const weights: Weights = { embedding, head, norm, layers };
    return { bytes: owned.reduce((sum, { bytes }) => sum + bytes, 0), forward: (rows) => forward(config, weights, backend, rows), free };
  } catch (error) {
    free();
    throw error;
  }
}

async function forward(config: LlamaConfig, weights: Weights, backend: Backend, rows: number): Promise<Forward> {
  const { hiddenSize, queryHeads, kvHeads, headSize, intermediateSize, vocabularySize, normEpsilon } = config;
  const kernels = new Map<string, Kernel<"linear">>();
  const linear = async ({ out, width, dtype }: Matrix, bias: boolean, residual: boolean) => {
    const key = `${out} ${width} ${dtype} ${bias} ${residual}`;
    const kernel = kernels.get(key) ?? (await backend.prepare("linear", { rows, width, out, weight: dtype, bias, residual }));
    kernels.set(key, kernel);
    return kernel;
  };
  const embed = await backend.prepare("embed", {
    tokens: rows,
    vocabulary: vocabularySize,
    width: hiddenSize,
    weight: weights.embedding.dtype,
    scale: 1,
  });
  const norm = await backend.prepare("rmsNorm", { rows, width: hiddenSize, epsilon: normEpsilon });
  const activation = await backend.prepare("gatedActivation", { rows, width: intermediateSize, kind: "silu" });
  const head = await linear(weights.head, false, false);
  const layers = await Promise.all(
    weights.layers.map(async (layer) => ({
      qkv: await linear(layer.qkv, layer.qkvBias !== undefined, false),
      output: await linear(layer.output, layer.outputBias !== undefined, true),
      gateUp: await linear(layer.gateUp, layer.gateUpBias !== undefined, false),
      down: await linear(layer.down, layer.downBias !== undefined, true),
    })),
  );

  // Only now: a kernel that cannot be had leaves nothing behind.
  const buffers = new Buffers(backend);
  const allocate = (width: number) => buffers.allocate(4 * rows * width, "workspace");
  const normed = allocate(hiddenSize);
  const qkv = allocate((queryHeads + 2 * kvHeads) * headSize);
  const out = allocate(queryHeads * headSize);
  const gateUp = allocate(2 * intermediateSize);
  const gated = allocate(intermediateSize);
  const project = (kernel: Kernel<"linear">, x: Slice, weight: Matrix, bias: Slice | undefined, to: Slice, residual?: Slice) =>
    backend.dispatch(kernel, { x, weight: weight.slice, out: to, ...(bias ? { bias } : {}), ...(residual ? { residual } : {}) });

  return {
    qkv,
    out,
    embed: (ids, x) => backend.dispatch(embed, { ids, table: weights.embedding.slice, out: x }),
    layer(index, x, attend) {
      const layer = weights.layers[index]!;
      const kernel = layers[index]!;
      backend.dispatch(norm, { x, weight: layer.attentionNorm, out: normed });
      project(kernel.qkv, normed, layer.qkv, layer.qkvBias, qkv);
      attend(qkv, out);
      project(kernel.output, out, layer.output, layer.outputBias, x, x);
      backend.dispatch(norm, { x, weight: layer.feedForwardNorm, out: normed });
      project(kernel.gateUp, normed, layer.gateUp, layer.gateUpBias, gateUp);
      backend.dispatch(activation, { x: gateUp, out: gated });
      project(kernel.down, gated, layer.down, layer.downBias, x, x);
    },
    head(x, logits) {
      backend.dispatch(norm, { x, weight: weights.norm, out: normed });
      project(head, normed, weights.head, undefined, logits);
    },
    free: () => buffers.free(),
  };
}
