// Written by scripts/meanings.mjs: one entry for each op of this folder. Do not edit.
import type { OpName } from "../catalogue.js";
import { advance } from "./advance.js";
import { append } from "./append.js";
import { apportion } from "./apportion.js";
import { attention } from "./attention.js";
import { binary } from "./binary.js";
import { copy } from "./copy.js";
import { decodeAttention } from "./decode-attention.js";
import { embed } from "./embed.js";
import { evict } from "./evict.js";
import { fill } from "./fill.js";
import { gatedActivation } from "./gated-activation.js";
import { gather } from "./gather.js";
import { hash } from "./hash.js";
import { linear } from "./linear.js";
import { load } from "./load.js";
import { logProbability } from "./log-probability.js";
import { observe } from "./observe.js";
import { order } from "./order.js";
import { pool } from "./pool.js";
import { reduce } from "./reduce.js";
import { rmsNorm } from "./rms-norm.js";
import { rope } from "./rope.js";
import { sample } from "./sample.js";
import { store } from "./store.js";
import { through } from "./through.js";
import { topk } from "./topk.js";
import { unary } from "./unary.js";
import type { Meaning } from "./view.js";
import { watch } from "./watch.js";
import { where } from "./where.js";

/** The meaning of every op of the catalogue. */
export const meanings: { readonly [N in OpName]: Meaning<N> } = {
  advance,
  append,
  apportion,
  attention,
  binary,
  copy,
  decodeAttention,
  embed,
  evict,
  fill,
  gatedActivation,
  gather,
  hash,
  linear,
  load,
  logProbability,
  observe,
  order,
  pool,
  reduce,
  rmsNorm,
  rope,
  sample,
  store,
  through,
  topk,
  unary,
  watch,
  where,
};
