/** What a Chromium for tests of pages is started with: its WebGPU is SwiftShader, in software. */
export const chromiumFlags: readonly string[] = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--ignore-gpu-blocklist",
  // SwiftShader compiles the clearing of workgroup memory word by word, seconds a kernel; no kernel of ours reads what
  // it has not written.
  "--enable-dawn-features=disable_workgroup_init",
];
