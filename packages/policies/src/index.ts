export { type Keep, keepAsText, parseKeep, rowsOf } from "./keep.js";
export { type ListedPolicy, policies } from "./list.js";
export { type MadePolicy, makePolicy, type PolicySpec, parsePolicies, parsePolicy } from "./spec.js";
