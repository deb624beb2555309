import type { OpName } from "@ziggurat/tensor";
import type { Plan } from "./launch.js";
import { attentions } from "./plans/attention.js";
import { linear } from "./plans/linear.js";
import { model } from "./plans/model.js";
import { rows } from "./plans/rows.js";
import { tensor } from "./plans/tensor.js";

/** The plan of every op of the catalogue. */
export const plans: { readonly [N in OpName]: Plan<N> } = { ...model, linear, ...attentions, ...rows, ...tensor };
