import type { Backend } from "@ziggurat/tensor";
import { type WebGpuOptions, webgpu } from "../../src/index.js";
import { gpu } from "../gpu.js";

/** A backend and its device, for tests that act on the device directly. */
export async function opened(options: WebGpuOptions = {}): Promise<{ backend: Backend; device: GPUDevice }> {
  let device: GPUDevice | undefined;
  const requestAdapter = async (wanted?: GPURequestAdapterOptions) => {
    const adapter = (await gpu.requestAdapter(wanted))!;
    const request = adapter.requestDevice.bind(adapter);
    adapter.requestDevice = async (descriptor) => {
      device = await request(descriptor);
      return device;
    };
    return adapter;
  };
  const backend = await webgpu({ ...options, gpu: { requestAdapter } });
  return { backend, device: device! };
}
