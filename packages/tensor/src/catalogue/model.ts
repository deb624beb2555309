import { weightDTypes } from "../dtype.js";
import { grouped, lines, op, qkv, read, rotated, sequenceHeads, sequences, table, update, write } from "./rule.js";

/** Ops of a model's layers, and the choice of the next token. */
export const model = {
  embed: op({
    meaning: lines("out[t] = scale x table[ids[t]].", "An id outside the table reads row 0."),
    dims: ["tokens", "vocabulary", "width"],
    dtypes: { weight: weightDTypes },
    attributes: { scale: "number" },
    operands: {
      ids: read("i32", (d) => [d.tokens!]),
      table: read("weight", (d) => [d.vocabulary!, d.width!]),
      out: write("f32", (d) => [d.tokens!, d.width!]),
    },
    tolerance: { f32: 1e-6, f16: 1e-6, bf16: 1e-6, q8_0: 1e-6, q4_0: 1e-6, q4_1: 1e-6 },
  }),

  rmsNorm: op({
    meaning: "out[r] = x[r] / sqrt(mean(x[r]^2) + epsilon) x weight.",
    dims: ["rows", "width"],
    dtypes: {},
    attributes: { epsilon: "number" },
    operands: {
      x: read("f32", (d) => [d.rows!, d.width!]),
      weight: read("f32", (d) => [d.width!]),
      out: write("f32", (d) => [d.rows!, d.width!]),
    },
    tolerance: { f32: 1e-5 },
  }),

  linear: op({
    meaning: lines(
      "out[r, o] = sum over i of x[r, i] x weight[o, i], plus bias[o] with `bias` and residual[r, o] with `residual`.",
      "The residual may be out itself.",
      "Activations may be rounded to 16 bits with 16-bit weights, and to 8 bits per block of 32 with quantised ones.",
    ),
    dims: ["rows", "width", "out"],
    dtypes: { weight: weightDTypes },
    attributes: { bias: "boolean", residual: "boolean" },
    operands: {
      x: read("f32", (d) => [d.rows!, d.width!]),
      weight: read("weight", (d) => [d.out!, d.width!]),
      bias: read("f32", (d) => [d.out!], "bias"),
      residual: read("f32", (d) => [d.rows!, d.out!], "residual"),
      out: write("f32", (d) => [d.rows!, d.out!]),
    },
    // Relative to the root of the sum of squares of the terms (products, bias, residual) instead of 1 + |b|, because
    // rounding errors grow with it.
    tolerance: { f32: 2e-5, f16: 4e-3, bf16: 8e-3, q8_0: 4e-2, q4_0: 4e-2, q4_1: 4e-2 },
  }),

  gatedActivation: op({
    meaning: lines(
      "out[r, i] = activation(x[r, i]) x x[r, width + i].",
      "silu(a) = a / (1 + exp(-a)).",
      "gelu is the tanh approximation.",
    ),
    dims: ["rows", "width"],
    dtypes: {},
    attributes: { kind: ["silu", "gelu"] },
    operands: {
      x: read("f32", (d) => [d.rows!, 2 * d.width!]),
      out: write("f32", (d) => [d.rows!, d.width!]),
    },
    tolerance: { f32: 1e-5 },
  }),

  rope: op({
    meaning: lines(
      "Rotates, in place, the query heads of qkv, and with `keys` its key heads.",
      "Token i of (sequence, KV head) h is at position base[h] + i, and so are the query heads of that KV head.",
      "Number j pairs with number j + rotary / 2; numbers from rotary on stay.",
      "Positions are clamped to the table.",
    ),
    dims: ["sequences", "tokens", "queryHeads", "kvHeads", "headSize", "rotary", "tableRows"],
    dtypes: {},
    attributes: { keys: "boolean" },
    requires: [grouped, rotated("headSize")],
    operands: {
      qkv: update("f32", qkv),
      table: read("f32", table),
      base: read("i32", sequenceHeads),
    },
    tolerance: { f32: 1e-5 },
  }),

  logProbability: op({
    meaning: lines(
      "out[r] = logits[r, ids[r]] - log(sum over v of exp(logits[r, v])).",
      "An id outside the vocabulary gives -Infinity.",
    ),
    dims: ["rows", "vocabulary"],
    dtypes: {},
    attributes: {},
    operands: {
      logits: read("f32", (d) => [d.rows!, d.vocabulary!]),
      ids: read("i32", (d) => [d.rows!]),
      out: write("f32", (d) => [d.rows!]),
    },
    tolerance: { f32: 1e-5 },
  }),

  sample: op({
    meaning: lines(
      "Chooses the next token of every sequence that has not ended.",
      "params[s] = temperature, topK, topP, minP, penalty.",
      "A logit of a token with history > 0 is divided by penalty if it is positive, multiplied if it is negative.",
      "NaN counts as -Infinity.",
      "Temperature 0 takes the greatest logit (ties: lower id), as does a greatest logit that is not finite.",
      "Otherwise softmax(logits / temperature) is cut three times:",
      "- to the topK likeliest tokens (0: all; ties: lower id);",
      "- to the fewest likeliest of the rest, renormalised, whose sum reaches topP (1: all);",
      "- to those of at least minP x the greatest.",
      "The token is the first in order of id whose running sum exceeds u x total.",
      "u = uniform(seeds[s], steps[s]): see reference/random.ts.",
      "Then tokens[s] = the token, ids[s, steps[s] mod ring] = the token, history[s, token] += 1,",
      "ended[s] = 1 if stops[s] holds the token, and steps[s] += 1.",
    ),
    dims: ["sequences", "vocabulary", "ring", "stopCount"],
    dtypes: {},
    attributes: { history: "boolean" },
    operands: {
      logits: read("f32", (d) => [d.sequences!, d.vocabulary!]),
      params: read("f32", (d) => [d.sequences!, 5]),
      seeds: read("i32", sequences),
      stops: read("i32", (d) => [d.sequences!, d.stopCount!]),
      history: update("i32", (d) => [d.sequences!, d.vocabulary!], "history"),
      steps: update("i32", sequences),
      ended: update("i32", sequences),
      tokens: update("i32", sequences),
      ids: update("i32", (d) => [d.sequences!, d.ring!]),
    },
    tolerance: { f32: 0 },
  }),
} as const;
