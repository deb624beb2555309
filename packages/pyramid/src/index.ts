export { type PyramidOptions, pyramid } from "./pyramid.js";
export { type PyramidKVOptions, pyramidkv } from "./pyramidkv.js";
