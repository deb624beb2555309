export { type KeyDiffOptions, keyDifference, keydiff, keydiffOptions } from "./keydiff.js";
export { type KnormOptions, keyNorm, knorm, knormOptions } from "./knorm.js";
export { lastQuery, type TovaOptions, tova, tovaOptions } from "./tova.js";
