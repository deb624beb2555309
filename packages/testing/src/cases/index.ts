import type { Case } from "../case.js";
import { attentions } from "./attention.js";
import { bytes } from "./bytes.js";
import { model } from "./model.js";
import { rows } from "./rows.js";
import { sample } from "./sample.js";
import { tensor } from "./tensor.js";
import { watch } from "./watch.js";

/** What `testBackend` runs of every op. */
export const cases: readonly Case[] = [...model, ...sample, ...attentions, ...watch, ...rows, ...tensor, ...bytes];
