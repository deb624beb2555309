export { type H2OOptions, h2o, h2oOptions } from "./h2o.js";
export { heavyHitters } from "./heavy-hitters.js";
