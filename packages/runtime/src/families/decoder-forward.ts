import { type Backend, Buffers, type Kernel, type Slice } from "@ziggurat/tensor";
import type { Decoder } from "./decoder.js";
import type { DecoderWeights, LoadedProjection } from "./decoder-weights.js";
import type { Forward } from "./family.js";

/** Prepares a pass over `rows` rows. */
export async function decoderForward(
  decoder: Decoder,
  weights: DecoderWeights,
  backend: Backend,
  rows: number,
): Promise<Forward> {
  const {
    hiddenSize,
    queryHeads,
    kvHeads,
    headSize,
    intermediateSize,
    vocabularySize,
    normEpsilon,
    activation: kind,
    embeddingScale,
  } = decoder;
  const rowHeads = queryHeads + 2 * kvHeads;
  const kernels = new Map<string, Kernel<"linear">>();
  const linear = async ({ matrix: { out, width, dtype }, bias }: LoadedProjection, residual: boolean) => {
    const key = `${out} ${width} ${dtype} ${bias !== undefined} ${residual}`;
    const kernel =
      kernels.get(key) ??
      (await backend.prepare("linear", { rows, width, out, weight: dtype, bias: bias !== undefined, residual }));
    kernels.set(key, kernel);
    return kernel;
  };
  const weight = weights.embedding.dtype;
  const embed = await backend.prepare("embed", {
    tokens: rows,
    vocabulary: vocabularySize,
    width: hiddenSize,
    weight,
    scale: embeddingScale,
  });
  const norm = await backend.prepare("rmsNorm", { rows, width: hiddenSize, epsilon: normEpsilon });
  const activation = await backend.prepare("gatedActivation", { rows, width: intermediateSize, kind });
  const headProjection = { matrix: weights.head, bias: undefined };
  const head = await linear(headProjection, false);
  const layers = await Promise.all(
    weights.layers.map(async (layer) => ({
      qkv: await linear(layer.qkv, false),
      output: await linear(layer.output, layer.attentionEndNorm === undefined),
      gateUp: await linear(layer.gateUp, false),
      down: await linear(layer.down, layer.feedForwardEndNorm === undefined),
    })),
  );
  const hasHeadNorms = weights.headNorms !== undefined;
  const hasEndNorms = weights.layers.some(
    ({ attentionEndNorm, feedForwardEndNorm }) => attentionEndNorm ?? feedForwardEndNorm,
  );
  const headNorm = hasHeadNorms ? await prepareHeadNorm(backend, rows, rowHeads, headSize, normEpsilon) : undefined;
  const addition = hasEndNorms ? await prepareAddition(backend, rows * hiddenSize) : undefined;
  const softcap =
    decoder.logitSoftcap > 0 ? await prepareSoftcap(backend, rows * vocabularySize, decoder.logitSoftcap) : undefined;

  // Allocates after preparing kernels, so that a failed `prepare` leaks nothing.
  const buffers = new Buffers(backend);
  const allocate = (width: number) => buffers.allocate(4 * rows * width, "workspace");
  const normed = allocate(hiddenSize);
  const qkv = allocate(rowHeads * headSize);
  const out = allocate(queryHeads * headSize);
  const gateUp = allocate(2 * intermediateSize);
  const gated = allocate(intermediateSize);
  const heads = hasHeadNorms ? ([allocate(rowHeads * headSize), allocate(rowHeads * headSize)] as const) : undefined;
  const added = hasEndNorms ? allocate(hiddenSize) : undefined;
  const capped = softcap ? allocate(vocabularySize) : undefined;
  const minusTwice = softcap ? buffers.allocate(4, "workspace") : undefined;
  if (minusTwice) backend.write(minusTwice, Float32Array.of(-2 * decoder.logitSoftcap));

  const project = (
    kernel: Kernel<"linear">,
    x: Slice,
    { matrix, bias }: LoadedProjection,
    to: Slice,
    residual?: Slice,
  ) =>
    backend.dispatch(kernel, {
      x,
      weight: matrix.slice,
      out: to,
      ...(bias ? { bias } : {}),
      ...(residual ? { residual } : {}),
    });
  /** Adds a projection of `from` to the stream, through its end norm if it has one. */
  const add = (kernel: Kernel<"linear">, from: Slice, what: LoadedProjection, endNorm: Slice | undefined, x: Slice) => {
    project(kernel, from, what, endNorm ? added! : x, endNorm ? undefined : x);
    if (!endNorm) return;
    backend.dispatch(norm, { x: added!, weight: endNorm, out: normed });
    addition!(x, normed, added!);
  };

  return {
    qkv,
    out,
    embed: (ids, x) => backend.dispatch(embed, { ids, table: weights.embedding.slice, out: x }),
    layer(index, x, attend) {
      const layer = weights.layers[index]!;
      const kernel = layers[index]!;
      backend.dispatch(norm, { x, weight: layer.attentionNorm, out: normed });
      project(kernel.qkv, normed, layer.qkv, qkv);
      if (layer.headNorms) headNorm!(qkv, { ...weights.headNorms!, weights: layer.headNorms }, heads!);
      attend(qkv, out);
      add(kernel.output, out, layer.output, layer.attentionEndNorm, x);
      backend.dispatch(norm, { x, weight: layer.feedForwardNorm, out: normed });
      project(kernel.gateUp, normed, layer.gateUp, gateUp);
      backend.dispatch(activation, { x: gateUp, out: gated });
      add(kernel.down, gated, layer.down, layer.feedForwardEndNorm, x);
    },
    head(x, logits) {
      backend.dispatch(norm, { x, weight: weights.norm, out: normed });
      project(head, normed, headProjection, logits);
      softcap?.(logits, capped!, minusTwice!);
    },
    free: () => buffers.free(),
  };
}

/**
 * RMS norm of every query and key head of qkv rows, in place, with two buffers of the same size: all heads are normed,
 * values are restored, and weights are multiplied.
 */
async function prepareHeadNorm(backend: Backend, rows: number, rowHeads: number, headSize: number, epsilon: number) {
  const whole = { d0: rows, d1: rowHeads, d2: headSize };
  const same = { a0: rows, a1: rowHeads, a2: headSize };
  const norm = await backend.prepare("rmsNorm", { rows: rows * rowHeads, width: headSize, epsilon });
  const choose = await backend.prepare("where", {
    ...{ ...whole, ...same, m0: 1, m1: rowHeads, m2: 1, b0: rows, b1: rowHeads, b2: headSize },
    ...{ valueA: 0, valueB: 0 },
  });
  const multiply = await backend.prepare("binary", {
    ...whole,
    ...same,
    b0: 1,
    b1: rowHeads,
    b2: headSize,
    kind: "mul",
    value: 0,
  });
  return (
    qkv: Slice,
    { ones, mask, weights }: Readonly<Record<"ones" | "mask" | "weights", Slice>>,
    [normed, chosen]: readonly [Slice, Slice],
  ) => {
    backend.dispatch(norm, { x: qkv, weight: ones, out: normed });
    backend.dispatch(choose, { mask, a: normed, b: qkv, out: chosen });
    backend.dispatch(multiply, { a: chosen, b: weights, out: qkv });
  };
}

/** x += y, with a buffer of the same size for the sum. */
async function prepareAddition(backend: Backend, count: number) {
  const sizes = { d0: 1, d1: 1, d2: count, a0: 1, a1: 1, a2: count, b0: 1, b1: 1, b2: count };
  const add = await backend.prepare("binary", { ...sizes, kind: "add", value: 0 });
  const copy = await backend.prepare("copy", { words: count });
  return (x: Slice, y: Slice, sum: Slice) => {
    backend.dispatch(add, { a: x, b: y, out: sum });
    backend.dispatch(copy, { x: sum, out: x });
  };
}

/**
 * logits = cap x tanh(logits / cap) = cap - 2 cap / (exp(2 logits / cap) + 1), with a buffer of the same size.
 * `minusTwice` holds the number -2 cap.
 */
async function prepareSoftcap(backend: Backend, count: number, cap: number) {
  const sizes = { d0: 1, d1: 1, d2: count };
  const literal = (kind: "mul" | "add", value: number) =>
    backend.prepare("binary", { ...sizes, a0: 1, a1: 1, a2: count, b0: 1, b1: 1, b2: 1, kind, literal: true, value });
  const double = await literal("mul", 2 / cap);
  const exp = await backend.prepare("unary", { elements: count, x: "f32", kind: "exp" });
  const more = await literal("add", 1);
  const divide = await backend.prepare("binary", {
    ...sizes,
    a0: 1,
    a1: 1,
    a2: 1,
    b0: 1,
    b1: 1,
    b2: count,
    kind: "div",
    value: 0,
  });
  const raise = await literal("add", cap);
  const copy = await backend.prepare("copy", { words: count });
  return (logits: Slice, work: Slice, minusTwice: Slice) => {
    backend.dispatch(double, { a: logits, out: work });
    backend.dispatch(exp, { x: work, out: logits });
    backend.dispatch(more, { a: logits, out: work });
    backend.dispatch(divide, { a: minusTwice, b: work, out: logits });
    backend.dispatch(raise, { a: logits, out: work });
    backend.dispatch(copy, { x: work, out: logits });
  };
}
