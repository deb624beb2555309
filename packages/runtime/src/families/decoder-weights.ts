import { Buffers, type Slice, type WeightDType } from "@ziggurat/tensor";
import { Loader } from "../weights/loader.js";
import { loadMatrix, type Matrix, type MatrixPlan, matrixBytes, planMatrix, readVector } from "../weights/matrix.js";
import type { WeightSource } from "../weights/source.js";
import type { Decoder, DecoderLayer, Projection } from "./decoder.js";
import type { LoadWeightsOptions } from "./family.js";

// A decoder's weights: their bytes, their loading, and their places on the device.

export interface LoadedProjection {
  readonly matrix: Matrix;
  readonly bias: Slice | undefined;
}

export interface LoadedLayer {
  readonly attentionNorm: Slice;
  readonly qkv: LoadedProjection;
  /** f32 [heads of a row, headSize]: the norm's weight for every query and key head, ones for values. */
  readonly headNorms: Slice | undefined;
  readonly output: LoadedProjection;
  readonly attentionEndNorm: Slice | undefined;
  readonly feedForwardNorm: Slice;
  readonly gateUp: LoadedProjection;
  readonly down: LoadedProjection;
  readonly feedForwardEndNorm: Slice | undefined;
}

export interface DecoderWeights {
  readonly embedding: Matrix;
  readonly head: Matrix;
  readonly norm: Slice;
  readonly layers: readonly LoadedLayer[];
  /**
   * If a layer has norms over heads: `ones`, f32 [headSize], and `mask`, f32 [heads of a row], 1 for queries and keys,
   * 0 for values.
   */
  readonly headNorms: { readonly ones: Slice; readonly mask: Slice } | undefined;
}

const projections = ["qkv", "output", "gateUp", "down"] as const;
const norms = ["attentionNorm", "feedForwardNorm", "attentionEndNorm", "feedForwardEndNorm"] as const;

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
const rowHeads = ({ queryHeads, kvHeads }: Decoder) => queryHeads + 2 * kvHeads;

const planProjection = (
  { names, rows, width }: Projection,
  source: WeightSource,
  dtype: WeightDType | undefined,
): MatrixPlan =>
  planMatrix(
    source,
    names.map((name) => `${name}.weight`),
    rows,
    width,
    dtype,
  );

function planEnds(
  { vocabularySize, hiddenSize, tiedEmbeddings }: Decoder,
  source: WeightSource,
  dtype: WeightDType | undefined,
) {
  const plan = (name: string) => planMatrix(source, [name], [vocabularySize], hiddenSize, dtype);
  return { embedding: plan("model.embed_tokens.weight"), head: tiedEmbeddings ? undefined : plan("lm_head.weight") };
}

/** Numbers of a layer's vectors. */
const vectorSize = (decoder: Decoder, layer: DecoderLayer): number =>
  decoder.hiddenSize * norms.filter((name) => layer[name] !== undefined).length +
  (layer.headNorms ? rowHeads(decoder) * decoder.headSize : 0) +
  sum(projections.map((name) => (layer[name].bias ? sum(layer[name].rows) : 0)));

/** Bytes of all weights in device memory. Throws a `FormatError` if the files lack one or have it in another shape. */
export function decoderBytes(decoder: Decoder, source: WeightSource, dtype: WeightDType | undefined): number {
  const { embedding, head } = planEnds(decoder, source, dtype);
  const { layerList, hiddenSize, headSize } = decoder;
  const shared = layerList.some(({ headNorms }) => headNorms) ? headSize + rowHeads(decoder) : 0;
  const layers = layerList.map(
    (layer) =>
      4 * vectorSize(decoder, layer) +
      sum(projections.map((name) => matrixBytes(planProjection(layer[name], source, dtype)))),
  );
  return matrixBytes(embedding) + (head ? matrixBytes(head) : 0) + 4 * (hiddenSize + shared) + sum(layers);
}

/** Reads the weights chunk by chunk. If that fails, what was allocated is freed. */
export async function loadDecoder(
  decoder: Decoder,
  source: WeightSource,
  { backend, dtype, onProgress }: LoadWeightsOptions,
): Promise<{ readonly weights: DecoderWeights; readonly bytes: number; free(): void }> {
  const buffers = new Buffers(backend);
  try {
    const total = decoderBytes(decoder, source, dtype);
    const loader = new Loader(backend, (done) => onProgress?.(Math.min(done, total), total));
    const weights = planWeights(decoder, source, dtype, loader, buffers);
    await loader.run();
    return { weights, bytes: buffers.bytes, free: () => buffers.free() };
  } catch (error) {
    buffers.free();
    throw error;
  }
}

/** Allocates all weights. The loader fills them when it runs. */
function planWeights(
  decoder: Decoder,
  source: WeightSource,
  dtype: WeightDType | undefined,
  loader: Loader,
  buffers: Buffers,
): DecoderWeights {
  const { hiddenSize, queryHeads, kvHeads, headSize, normOffset } = decoder;
  const vector = (count: number, make: () => Promise<Float32Array> | Float32Array): Slice => {
    const slice = buffers.allocate(4 * count, "weights");
    loader.add(async ({ backend }) => {
      backend.write(slice, await make());
      return 4 * count;
    });
    return slice;
  };
  const normWeight = async (name: string, width: number) =>
    (await readVector(source, [`${name}.weight`], [width])).map((x) => x + normOffset);
  const norm = (name: string) => vector(hiddenSize, () => normWeight(name, hiddenSize));
  const normIfAny = (name: string | undefined) => (name === undefined ? undefined : norm(name));
  const projection = (what: Projection): LoadedProjection => {
    const names = what.names.map((name) => `${name}.bias`);
    return {
      matrix: loadMatrix(loader, source, planProjection(what, source, dtype), buffers),
      bias: what.bias ? vector(sum(what.rows), () => readVector(source, names, what.rows)) : undefined,
    };
  };
  const headNorms = ({ headNorms }: DecoderLayer): Slice | undefined => {
    if (!headNorms) return undefined;
    return vector(rowHeads(decoder) * headSize, async () => {
      const [query, key] = [await normWeight(headNorms.query, headSize), await normWeight(headNorms.key, headSize)];
      const weights = new Float32Array(rowHeads(decoder) * headSize).fill(1);
      for (let head = 0; head < queryHeads + kvHeads; head++)
        weights.set(head < queryHeads ? query : key, head * headSize);
      return weights;
    });
  };

  const ends = planEnds(decoder, source, dtype);
  const embedding = loadMatrix(loader, source, ends.embedding, buffers);
  const layers = decoder.layerList.map(
    (layer): LoadedLayer => ({
      attentionNorm: norm(layer.attentionNorm),
      qkv: projection(layer.qkv),
      headNorms: headNorms(layer),
      output: projection(layer.output),
      attentionEndNorm: normIfAny(layer.attentionEndNorm),
      feedForwardNorm: norm(layer.feedForwardNorm),
      gateUp: projection(layer.gateUp),
      down: projection(layer.down),
      feedForwardEndNorm: normIfAny(layer.feedForwardEndNorm),
    }),
  );
  return {
    embedding,
    layers,
    norm: norm("model.norm"),
    head: ends.head ? loadMatrix(loader, source, ends.head, buffers) : embedding,
    headNorms: decoder.layerList.some((layer) => layer.headNorms)
      ? {
          ones: vector(headSize, () => new Float32Array(headSize).fill(1)),
          mask: vector(rowHeads(decoder), () => new Float32Array(rowHeads(decoder)).fill(1, 0, queryHeads + kvHeads)),
        }
      : undefined,
  };
}
