import { at, float, int, over, type Plan, threadsFor } from "../launch.js";

// The ops of a model, except matrix products and attention.

const embed: Plan<"embed"> = ({ tokens, vocabulary, width, weight, scale }) => ({
  launches: [
    {
      ...{ file: "embed", kernel: `embed_${weight}`, grid: [tokens, over(width, 256)], threads: 256 },
      args: [at("ids"), at("table"), at("out"), ...int(vocabulary, width), ...float(scale)],
    },
  ],
});

const rmsNorm: Plan<"rmsNorm"> = ({ rows, width, epsilon }) => ({
  launches: [
    {
      ...{ file: "rms-norm", kernel: "rms_norm", grid: [rows], threads: threadsFor(over(width, 2), 1024) },
      args: [at("x"), at("weight"), at("out"), ...int(width), ...float(epsilon)],
    },
  ],
});

const gatedActivation: Plan<"gatedActivation"> = ({ rows, width, kind }) => ({
  launches: [
    {
      ...{ file: "gated-activation", kernel: `gated_activation_${kind}`, grid: [rows, over(width, 256)], threads: 256 },
      args: [at("x"), at("out"), ...int(width)],
    },
  ],
});

const rope: Plan<"rope"> = ({ sequences, tokens, queryHeads, kvHeads, headSize, rotary, tableRows, keys }) => {
  const pairs = (queryHeads + (keys ? kvHeads : 0)) * Math.floor(rotary / 2);
  return {
    launches: [
      {
        ...{ file: "rope", kernel: "rope", grid: [sequences * tokens, over(pairs, 256)], threads: 256 },
        args: [
          at("qkv"),
          at("table"),
          at("base"),
          ...int(tokens, queryHeads, kvHeads, headSize, rotary, tableRows, keys),
        ],
      },
    ],
  };
};

const logProbability: Plan<"logProbability"> = ({ rows, vocabulary }) => ({
  launches: [
    {
      ...{ file: "log-probability", kernel: "log_probability", grid: [rows], threads: 1024 },
      args: [at("logits"), at("ids"), at("out"), ...int(vocabulary)],
    },
  ],
});

const sample: Plan<"sample"> = ({ sequences, vocabulary, ring, stopCount }) => {
  const operands = ["logits", "params", "seeds", "stops", "history", "steps", "ended", "tokens", "ids"];
  return {
    launches: [
      {
        ...{ file: "sample", kernel: "sample", grid: [sequences], threads: 1024 },
        args: [...operands.map((name) => at(name)), ...int(vocabulary, ring, stopCount)],
      },
    ],
  };
};

export const model = { embed, rmsNorm, gatedActivation, rope, logProbability, sample };
