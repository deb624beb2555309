import { bind, type OpKernel, scratch } from "../stage.js";
import text from "./sample.wgsl";
import greatest from "./sample-greatest.wgsl";

/** Stretches of a sequence's tokens whose greatest logits are found in parallel. */
const parts = 64;

export const sample: OpKernel<"sample"> = {
  stages(spec) {
    const { sequences, vocabulary, ring, stopCount, history } = spec;
    const tables = {
      seeds: "i32",
      stops: "i32",
      history: "i32",
      steps: "i32",
      ended: "i32",
      tokens: "i32",
      ids: "i32",
    };
    const all = bind("sample", spec, { logits: "f32", params: "f32", ...tables });
    const partial = scratch("u32", 8 * sequences * parts);
    const { logits, params } = all;
    const seen = {
      logits: logits!,
      params: params!,
      ...(all.history ? { history: { ...all.history, written: false } } : {}),
    };
    return [
      {
        text: greatest,
        settings: { HISTORY: history, PARTS: parts },
        bound: { ...seen, partial },
        uniforms: { vocabulary },
        grid: [parts, sequences, 1],
        work: 8 * sequences * vocabulary,
      },
      {
        text,
        settings: { HISTORY: history, PARTS: parts },
        bound: { ...all, partial: { ...partial, written: false } },
        uniforms: { vocabulary, ring, stop_count: stopCount },
        grid: [sequences, 1, 1],
        work: 100 * sequences * vocabulary,
      },
    ];
  },
};
