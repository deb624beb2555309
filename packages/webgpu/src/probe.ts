import { mapRead, usage } from "./usage.js";

const threads = 128;

const text = `
enable subgroups;
@group(0) @binding(0) var<storage, read_write> seen: array<vec2u>;
@compute @workgroup_size(${threads})
fn main(
  @builtin(local_invocation_index) local: u32,
  @builtin(subgroup_size) size: u32,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  seen[local] = vec2u(size, lane);
}`;

/**
 * Returns `size` if each subgroup of a workgroup in one dimension is `size` neighbouring threads, in order, as kernels
 * assume; otherwise 0.
 */
export async function probeSubgroup(device: GPUDevice, size: number): Promise<number> {
  if (!(size >= 2 && size <= threads && threads % size === 0)) return 0;
  const bytes = 8 * threads;
  const seen = device.createBuffer({ size: bytes, usage: usage.storage | usage.copySource });
  const staging = device.createBuffer({ size: bytes, usage: usage.mapRead | usage.copyTarget });
  try {
    const pipeline = await device.createComputePipelineAsync({
      layout: "auto",
      compute: { module: device.createShaderModule({ code: text }) },
    });
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(
      0,
      device.createBindGroup({
        layout: pipeline.getBindGroupLayout(0),
        entries: [{ binding: 0, resource: { buffer: seen } }],
      }),
    );
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(seen, 0, staging, 0, bytes);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(mapRead);
    const found = new Uint32Array(staging.getMappedRange());
    const asExpected = Array.from(
      { length: threads },
      (_, i) => found[2 * i] === size && found[2 * i + 1] === i % size,
    );
    return asExpected.every(Boolean) ? size : 0;
  } catch {
    return 0;
  } finally {
    seen.destroy();
    staging.destroy();
  }
}
