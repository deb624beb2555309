/** The Node-API addon. Part of every release; in a checkout, `packages/cuda/scripts/build.mjs` builds it. */
export const addon = new URL("../bin/ziggurat.node", import.meta.url);
/** The compiled kernels of all ops. */
export const kernels = new URL("../bin/kernels.bin", import.meta.url);
