/** The Node-API addon. There once `packages/cuda/scripts/build.mjs` has run, and in every release. */
export const addon = new URL("../bin/ziggurat.node", import.meta.url);
/** The kernels of all ops, compiled. */
export const kernels = new URL("../bin/kernels.bin", import.meta.url);
