import { usage } from "../src/usage.js";

const bufferBytes = 2 ** 29;
const passes = 8;

/** Every thread reads 16 bytes a step, next to its neighbours. The store keeps the loads from being removed. */
const text = `
@group(0) @binding(0) var<storage, read> data: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) thread: vec3u, @builtin(num_workgroups) groups: vec3u) {
  var sum = vec4u();
  for (var at = thread.x; at < arrayLength(&data); at += 4u * 256u * groups.x) {
    let step = 256u * groups.x;
    sum ^= data[at] ^ data[at + step] ^ data[at + 2u * step] ^ data[at + 3u * step];
  }
  out[thread.x] = sum.x ^ sum.y ^ sum.z ^ sum.w;
}`;

/**
 * Measures the bytes a second that a plain WGSL loop reads from 512 MiB of device memory, or from the largest binding
 * below it: the roofline of decode.
 */
export async function bandwidth(gpu: GPU): Promise<number> {
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error("there is no WebGPU adapter");
  const { maxStorageBufferBindingSize, maxBufferSize } = adapter.limits;
  const device = await adapter.requestDevice({ requiredLimits: { maxStorageBufferBindingSize, maxBufferSize } });
  const groups = 2048;
  const bytes = Math.min(bufferBytes, 2 ** Math.floor(Math.log2(Math.min(maxStorageBufferBindingSize, maxBufferSize))));
  const data = device.createBuffer({ size: bytes, usage: usage.storage });
  const out = device.createBuffer({ size: 4 * 256 * groups, usage: usage.storage });
  const pipeline = device.createComputePipeline({
    layout: "auto",
    compute: { module: device.createShaderModule({ code: text }) },
  });
  const group = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [data, out].map((buffer, binding) => ({ binding, resource: { buffer } })),
  });
  let best = 0;
  for (let run = 0; run < 4; run++) {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    for (let i = 0; i < passes; i++) pass.dispatchWorkgroups(groups);
    pass.end();
    const since = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    best = Math.max(best, (1000 * passes * bytes) / (performance.now() - since));
  }
  device.destroy();
  return best;
}
