export { type PyramidOptions, pyramid, pyramidOptions } from "./pyramid.js";
export { type PyramidKVOptions, pyramidkv, pyramidkvOptions } from "./pyramidkv.js";
