import { bind, flat, type OpKernel } from "../stage.js";
import text from "./advance.wgsl";

export const advance: OpKernel<"advance"> = {
  stages(spec) {
    const { repeat, sequences, width, by } = spec;
    const items = repeat * sequences * width;
    return [
      {
        text,
        settings: {},
        bound: bind("advance", spec, { counter: "i32", ended: "i32" }),
        uniforms: { repeat, sequences, width, by },
        grid: flat(items),
        work: 8 * items,
      },
    ];
  },
};
