export { type Haystack, HaystackError, type HaystackOptions, haystack, isRight, type Task, tasks } from "./haystack.js";
export { type Material, material, paragraphsOf } from "./material.js";
