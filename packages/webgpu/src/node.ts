import { existsSync } from "node:fs";
import { WebGpuError } from "./error.js";
import type { Gpu } from "./options.js";

/** What Debian's chromium package brings along: Vulkan in software. */
const swiftShader = "/usr/lib/chromium/vk_swiftshader_icd.json";

// SwiftShader compiles the clearing of workgroup memory word by word, seconds a kernel; no kernel of ours reads what it
// has not written.
const flags = ["enable-dawn-features=disable_workgroup_init"];

/** Dawn's instances must outlive their devices, which no device sees to. */
let instance: Promise<Gpu> | undefined;

/**
 * WebGPU for Node, by Dawn of the npm package `webgpu`: one for the process. Where no GPU is found, and no driver is
 * named in `VK_DRIVER_FILES` or `VK_ICD_FILENAMES`, it is SwiftShader of Debian's chromium, if that is there:
 * `info.features.software` of the backend then is true. Rejects with a `WebGpuError` where the package is not installed
 * or does not start.
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
