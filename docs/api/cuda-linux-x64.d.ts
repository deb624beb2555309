// Written by `npm run api`. Do not edit.

// @ziggurat/cuda-linux-x64

export const addon: URL;

export const kernels: URL;
