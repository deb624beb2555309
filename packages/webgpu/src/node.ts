import { existsSync } from "node:fs";
import { WebGpuError } from "./error.js";
import type { Gpu } from "./options.js";

/** The software Vulkan driver of Debian's chromium package. */
const swiftShader = "/usr/lib/chromium/vk_swiftshader_icd.json";

// SwiftShader compiles the clearing of workgroup memory word by word, which takes seconds a kernel. It is not needed:
// no kernel here reads workgroup memory that it has not written.
const flags = ["enable-dawn-features=disable_workgroup_init"];

/** The instance of Dawn. It must outlive its devices, and they hold no reference to it. */
let instance: Promise<Gpu> | undefined;

/**
 * WebGPU for Node: Dawn from the npm package `webgpu`, one instance a process. If there is no GPU, and neither
 * `VK_DRIVER_FILES` nor `VK_ICD_FILENAMES` names a driver, it uses SwiftShader from Debian's chromium package if
 * installed; `info.features.software` of the backend is true then. Rejects with a `WebGpuError` if the package is not
 * installed or does not start.
 */
export function dawn(): Promise<Gpu> {
  instance ??= open();
  return instance;
}

async function open(): Promise<Gpu> {
  const create = await load();
  const gpu = create(flags);
  const named = process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES;
  if (named !== undefined || !existsSync(swiftShader) || (await gpu.requestAdapter())) return gpu;
  process.env.VK_DRIVER_FILES = swiftShader;
  return create(flags);
}

async function load(): Promise<typeof import("webgpu").create> {
  try {
    return (await import("webgpu")).create;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === "ERR_MODULE_NOT_FOUND") {
      throw new WebGpuError(
        "the npm package webgpu is not installed, by which WebGPU runs in Node; npm install webgpu",
        { cause },
      );
    }
    throw new WebGpuError(`the npm package webgpu does not start on ${process.platform}-${process.arch}: ${message}`, {
      cause,
    });
  }
}
