/// <reference path="../../wgsl.d.ts" />
import broadcast from "./broadcast.wgsl";
import element from "./element.wgsl";
import gate from "./gate.wgsl";
import grid from "./grid.wgsl";
import half from "./half.wgsl";
import infinity from "./infinity.wgsl";
import logit from "./logit.wgsl";
import matrixRows from "./matrix-rows.wgsl";
import oct from "./oct.wgsl";
import quad from "./quad.wgsl";
import random from "./random.wgsl";
import reduce from "./reduce.wgsl";
import rotation from "./rotation.wgsl";
import scan from "./scan.wgsl";
import select from "./select.wgsl";
import storeOne from "./store-one.wgsl";
import teamSums from "./team-sums.wgsl";
import tile from "./tile.wgsl";
import weight from "./weight.wgsl";
import weightQuad from "./weight-quad.wgsl";

export const libraries = {
  broadcast,
  element,
  gate,
  grid,
  half,
  infinity,
  logit,
  "matrix-rows": matrixRows,
  oct,
  quad,
  random,
  reduce,
  rotation,
  scan,
  select,
  "store-one": storeOne,
  "team-sums": teamSums,
  tile,
  weight,
  "weight-quad": weightQuad,
};
