import { DeviceLostError, WebGpuError } from "./error.js";
import { featuresOf } from "./features.js";
import type { Gpu, WebGpuOptions } from "./options.js";
import { probeSubgroup } from "./probe.js";
import type { Traits } from "./stage.js";

export interface Started {
  readonly device: GPUDevice;
  readonly name: string;
  readonly traits: Traits;
  readonly maxBytes: number;
  /** Resolves when the device is lost. */
  readonly lost: Promise<DeviceLostError>;
}

const raised = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
] as const satisfies readonly (keyof GPUSupportedLimits)[];

/** Opens a device with the limits that its adapter offers. Rejects with a `WebGpuError` if there is none. */
export async function start(options: WebGpuOptions): Promise<Started> {
  const { powerPreference = "high-performance", without = [], maxBytes = Number.POSITIVE_INFINITY } = options;
  if (!(maxBytes > 0)) throw new WebGpuError(`maxBytes is ${maxBytes}; it must be a number of bytes above 0`);
  const gpu = options.gpu ?? (globalThis as { navigator?: { gpu?: Gpu } }).navigator?.gpu;
  if (!gpu)
    throw new WebGpuError(
      "there is no navigator.gpu here; in Node give webgpu({ gpu: await dawn() }), dawn from @ziggurat/webgpu/node",
    );
  const adapter = (await gpu.requestAdapter({ powerPreference })) as GPUAdapter | null;
  if (!adapter)
    throw new WebGpuError(
      "WebGPU has no adapter here: no GPU that it supports, or no driver for it; in Node VK_DRIVER_FILES may name the ICD file of a Vulkan driver",
    );
  const limits: Record<string, number> = {};
  for (const name of raised) {
    if (name === "maxStorageBufferBindingSize" && without.includes("largeBindings")) continue;
    limits[name] = adapter.limits[name];
  }
  const features = featuresOf(adapter, gpu, without, options.profile !== undefined);
  let device: GPUDevice;
  try {
    device = await adapter.requestDevice({ requiredLimits: limits, requiredFeatures: features.required });
  } catch (cause) {
    throw new WebGpuError(`the adapter gives no device: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
  const lost = device.lost.then(
    ({ reason, message }) => new DeviceLostError(`the device was lost (${reason}): ${message}`),
  );
  const { vendor, architecture, description, subgroupMinSize, subgroupMaxSize } = adapter.info;
  const subgroup =
    features.subgroups && subgroupMinSize === subgroupMaxSize ? await probeSubgroup(device, subgroupMinSize ?? 0) : 0;
  const software = adapter.info.isFallbackAdapter || architecture === "swiftshader";
  return {
    device,
    name:
      [...new Set([vendor, architecture, description].filter((word) => word !== ""))].join(" ") || "a WebGPU adapter",
    traits: {
      subgroup,
      half: features.half,
      matrix: features.matrix && subgroup === 32,
      dots: features.dots,
      workgroupBytes: device.limits.maxComputeWorkgroupStorageSize,
      bindingBytes: Math.min(
        device.limits.maxStorageBufferBindingSize,
        options.maxBindingBytes ?? Number.POSITIVE_INFINITY,
      ),
      software,
    },
    maxBytes,
    lost,
  };
}
