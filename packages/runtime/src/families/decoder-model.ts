import type { Decoder } from "./decoder.js";
import { decoderForward } from "./decoder-forward.js";
import { decoderBytes, loadDecoder } from "./decoder-weights.js";
import type { OpenedModel } from "./family.js";
import { OutputGrams } from "./output-grams.js";

/** The model that a decoder describes, ready for its weights. */
export function decoderModel(decoder: Decoder): OpenedModel {
  const { queryHeads, kvHeads, headSize, layerList } = decoder;
  return {
    facts: {
      architecture: decoder.architecture,
      hiddenSize: decoder.hiddenSize,
      vocabularySize: decoder.vocabularySize,
      contextLength: decoder.contextLength,
      cache: {
        layers: layerList.map(({ window }) =>
          window === undefined ? { kind: "global" as const } : { kind: "sliding" as const, window },
        ),
        queryHeads,
        kvHeads,
        headSize,
        scale: decoder.attentionScale,
        softcap: decoder.attentionSoftcap,
      },
      ropes: layerList.map(({ rope }) => rope),
      endTokens: decoder.generation.stopIds,
    },
    weightBytes: (source, dtype) => decoderBytes(decoder, source, dtype),
    async load(source, options) {
      const { weights, bytes, free } = await loadDecoder(decoder, source, options);
      const outputs = weights.layers.map(({ output }) => output.matrix);
      const grams = new OutputGrams(options.backend, decoder, outputs);
      return {
        bytes,
        forward: (rows) => decoderForward(decoder, weights, options.backend, rows),
        outputGram: (layer) => grams.of(layer),
        free() {
          grams.free();
          free();
        },
      };
    },
  };
}
