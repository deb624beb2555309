/** Flags of the Chromium that tests pages. Its WebGPU is SwiftShader, in software. */
export const chromiumFlags: readonly string[] = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--ignore-gpu-blocklist",
  // SwiftShader clears workgroup memory word by word, which takes seconds per kernel to compile. Our kernels read only
  // what they have written.
  "--enable-dawn-features=disable_workgroup_init",
];
