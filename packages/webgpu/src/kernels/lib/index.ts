/// <reference path="../../wgsl.d.ts" />
import broadcast from "./broadcast.wgsl";
import element from "./element.wgsl";
import grid from "./grid.wgsl";
import half from "./half.wgsl";
import infinity from "./infinity.wgsl";
import quad from "./quad.wgsl";
import random from "./random.wgsl";
import reduce from "./reduce.wgsl";
import rotation from "./rotation.wgsl";
import scan from "./scan.wgsl";
import select from "./select.wgsl";
import tile from "./tile.wgsl";
import weight from "./weight.wgsl";
import weightQuad from "./weight-quad.wgsl";

export const libraries = {
  broadcast,
  element,
  grid,
  half,
  infinity,
  quad,
  random,
  reduce,
  rotation,
  scan,
  select,
  tile,
  weight,
  "weight-quad": weightQuad,
};
