export { type H2OOptions, h2o } from "./h2o.js";
export { heavyHitters } from "./heavy-hitters.js";
