export { cpu } from "./cpu.js";
export { CpuError } from "./error.js";
export type { CpuOptions, SimdLevel } from "./start.js";
