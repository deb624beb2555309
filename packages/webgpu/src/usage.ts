// GPUBufferUsage and GPUMapMode of the WebGPU specification, which are globals in browsers and not in Node.
export const usage = { mapRead: 1, copySource: 4, copyTarget: 8, uniform: 64, storage: 128 } as const;
export const mapRead = 1;
