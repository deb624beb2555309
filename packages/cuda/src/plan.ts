import type { OpName, Spec } from "@ziggurat/tensor";
import type { Place, Work } from "./launch.js";
import { attentions } from "./plans/attention.js";
import { linear } from "./plans/linear.js";
import { model } from "./plans/model.js";
import { rows } from "./plans/rows.js";
import { tensor } from "./plans/tensor.js";

/** Which launches an op takes. Throws an `OpError` where a spec is beyond what the kernels can do. */
export type Plan<N extends OpName> = (spec: Required<Spec<N>>, place: Place) => Work;

export const plans: { readonly [N in OpName]: Plan<N> } = { ...model, linear, ...attentions, ...rows, ...tensor };
