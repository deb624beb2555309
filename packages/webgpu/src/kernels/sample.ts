import { bind, type OpKernel } from "../stage.js";
import text from "./sample.wgsl";

export const sample: OpKernel<"sample"> = {
  stages(spec) {
    const { sequences, vocabulary, ring, stopCount, history } = spec;
    const tables = { seeds: "i32", stops: "i32", history: "i32", steps: "i32", ended: "i32", tokens: "i32", ids: "i32" };
    return [
      {
        text,
        settings: { HISTORY: history },
        bound: bind("sample", spec, { logits: "f32", params: "f32", ...tables }),
        uniforms: { vocabulary, ring, stop_count: stopCount },
        grid: [sequences, 1, 1],
        work: 100 * sequences * vocabulary,
      },
    ];
  },
};
