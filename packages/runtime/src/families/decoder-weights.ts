import { Buffers } from "@ziggurat/cache";
import type { Slice, WeightDType } from "@ziggurat/tensor";
import { loadMatrix, type MatrixPlan, matrixBytes, planMatrix, readVector } from "../weights/matrix.js";
import type { WeightSource } from "../weights/source.js";
import type { Decoder, DecoderLayer, Projection } from "./decoder.js";
import { decoderForward } from "./decoder-forward.js";
import type { LoadedWeights, LoadWeightsOptions } from "./family.js";
import type { DecoderWeights, LoadedLayer, LoadedProjection } from "./loaded-decoder.js";

const projections = ["qkv", "output", "gateUp", "down"] as const;
const norms = ["attentionNorm", "feedForwardNorm", "attentionEndNorm", "feedForwardEndNorm"] as const;

const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);
const rowHeads = ({ queryHeads, kvHeads }: Decoder) => queryHeads + 2 * kvHeads;

const planProjection = ({ names, rows, width }: Projection, source: WeightSource, dtype: WeightDType | undefined): MatrixPlan =>
  planMatrix(
    source,
    names.map((name) => `${name}.weight`),
    rows,
    width,
    dtype,
  );

function planEnds({ vocabularySize, hiddenSize, tiedEmbeddings }: Decoder, source: WeightSource, dtype: WeightDType | undefined) {
  const plan = (name: string) => planMatrix(source, [name], [vocabularySize], hiddenSize, dtype);
  return { embedding: plan("model.embed_tokens.weight"), head: tiedEmbeddings ? undefined : plan("lm_head.weight") };
}

/** Numbers of a layer's vectors. */
const vectorSize = (decoder: Decoder, layer: DecoderLayer): number =>
  decoder.hiddenSize * norms.filter((name) => layer[name] !== undefined).length +
  (layer.headNorms ? rowHeads(decoder) * decoder.headSize : 0) +
  sum(projections.map((name) => (layer[name].bias ? sum(layer[name].rows) : 0)));

/** Bytes of all weights in device memory. Throws a `FormatError` where the file lacks one, or has it in another shape. */
export function decoderBytes(decoder: Decoder, source: WeightSource, dtype: WeightDType | undefined): number {
  const { embedding, head } = planEnds(decoder, source, dtype);
  const { layerList, hiddenSize, headSize } = decoder;
  const shared = layerList.some(({ headNorms }) => headNorms) ? headSize + rowHeads(decoder) : 0;
  const layers = layerList.map(
    (layer) => 4 * vectorSize(decoder, layer) + sum(projections.map((name) => matrixBytes(planProjection(layer[name], source, dtype)))),
  );
  return matrixBytes(embedding) + (head ? matrixBytes(head) : 0) + 4 * (hiddenSize + shared) + sum(layers);
}

/** Reads the weights tensor by tensor; what was allocated is freed where that fails. */
export async function loadDecoder(decoder: Decoder, source: WeightSource, options: LoadWeightsOptions): Promise<LoadedWeights> {
  const { backend, dtype, onProgress } = options;
  const buffers = new Buffers(backend);
  try {
    const total = decoderBytes(decoder, source, dtype);
    const tell = () => onProgress?.(buffers.bytes, total);
    const { hiddenSize, queryHeads, kvHeads, headSize, normOffset } = decoder;
    const write = (numbers: Float32Array): Slice => {
      const slice = buffers.allocate(numbers.byteLength, "weights");
      backend.write(slice, numbers);
      return slice;
    };
    const normWeight = async (name: string, width: number) => (await readVector(source, [`${name}.weight`], [width])).map((x) => x + normOffset);
    const norm = async (name: string | undefined) => (name === undefined ? undefined : write(await normWeight(name, hiddenSize)));
    const projection = async (what: Projection): Promise<LoadedProjection> => {
      const matrix = await loadMatrix(backend, source, planProjection(what, source, dtype), buffers);
      const names = what.names.map((name) => `${name}.bias`);
      return { matrix, bias: what.bias ? write(await readVector(source, names, what.rows)) : undefined };
    };
    const headNorms = async ({ headNorms }: DecoderLayer): Promise<Slice | undefined> => {
      if (!headNorms) return undefined;
      const [query, key] = [await normWeight(headNorms.query, headSize), await normWeight(headNorms.key, headSize)];
      const weights = new Float32Array(rowHeads(decoder) * headSize).fill(1);
      for (let head = 0; head < queryHeads + kvHeads; head++) weights.set(head < queryHeads ? query : key, head * headSize);
      return write(weights);
    };

    const ends = planEnds(decoder, source, dtype);
    const embedding = await loadMatrix(backend, source, ends.embedding, buffers);
    const layers: LoadedLayer[] = [];
    for (const layer of decoder.layerList) {
      layers.push({
        attentionNorm: (await norm(layer.attentionNorm))!,
        qkv: await projection(layer.qkv),
        headNorms: await headNorms(layer),
        output: await projection(layer.output),
        attentionEndNorm: await norm(layer.attentionEndNorm),
        feedForwardNorm: (await norm(layer.feedForwardNorm))!,
        gateUp: await projection(layer.gateUp),
        down: await projection(layer.down),
        feedForwardEndNorm: await norm(layer.feedForwardEndNorm),
      });
      tell();
    }
    const weights: DecoderWeights = {
      embedding,
      layers,
      norm: (await norm("model.norm"))!,
      head: ends.head ? await loadMatrix(backend, source, ends.head, buffers) : embedding,
      headNorms: decoder.layerList.some((layer) => layer.headNorms)
        ? {
            ones: write(new Float32Array(headSize).fill(1)),
            mask: write(new Float32Array(rowHeads(decoder)).fill(1, 0, queryHeads + kvHeads)),
          }
        : undefined,
    };
    await backend.synchronise();
    tell();
    return {
      bytes: buffers.bytes,
      forward: (rows) => decoderForward(decoder, weights, backend, rows),
      free: () => buffers.free(),
    };
  } catch (error) {
    buffers.free();
    throw error;
  }
}
