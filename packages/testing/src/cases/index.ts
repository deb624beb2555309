import type { Case } from "../case.js";
import { apportion } from "./apportion.js";
import { attentions } from "./attention.js";
import { bytes } from "./bytes.js";
import { model } from "./model.js";
import { observe } from "./observe.js";
import { rows } from "./rows.js";
import { sample } from "./sample.js";
import { tensor } from "./tensor.js";
import { through } from "./through.js";
import { watch } from "./watch.js";

/** What `testBackend` runs of every op. */
export const cases: readonly Case[] = [
  ...model,
  ...sample,
  ...attentions,
  ...watch,
  ...observe,
  ...rows,
  ...apportion,
  ...tensor,
  ...through,
  ...bytes,
];
