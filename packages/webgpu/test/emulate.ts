import type { Gpu } from "../src/options.js";

/** A GPU without optional features that does not report that it is emulated, so it gets the kernels of hardware. */
export function asHardware(gpu: GPU): Gpu {
  return {
    wgslLanguageFeatures: gpu.wgslLanguageFeatures,
    async requestAdapter() {
      const adapter = (await gpu.requestAdapter())!;
      return {
        limits: adapter.limits,
        features: { has: () => false },
        info: { vendor: "emulated", architecture: "", description: "" },
        requestDevice: (descriptor: GPUDeviceDescriptor) => adapter.requestDevice(descriptor),
      };
    },
  };
}

/** Workgroup memory that the emulation takes beside that of a kernel. */
const emulationBytes = 2 * 4 * 4 * 128 + 4 * 128;

/**
 * A GPU that appears to have matrix units. Shaders that use them are rewritten to compute the same sums in plain WGSL,
 * with eight numbers of a matrix in each of 32 threads. It is slow, but runs the logic of the kernels unchanged.
 */
export function withMatrixUnits(gpu: GPU): { requestAdapter(): Promise<unknown> } {
  return {
    async requestAdapter() {
      const adapter = (await gpu.requestAdapter())!;
      const config = { componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 };
      return {
        limits: adapter.limits,
        features: {
          has: (name: string) => ["subgroups", "shader-f16", "chromium-experimental-subgroup-matrix"].includes(name),
        },
        info: {
          vendor: "emulated",
          architecture: "",
          description: "",
          subgroupMinSize: 32,
          subgroupMaxSize: 32,
          subgroupMatrixConfigs: [config],
        },
        async requestDevice({ requiredLimits }: GPUDeviceDescriptor) {
          const device = await adapter.requestDevice({ ...(requiredLimits ? { requiredLimits } : {}) });
          const createShaderModule = device.createShaderModule.bind(device);
          device.createShaderModule = (descriptor) =>
            createShaderModule({ ...descriptor, code: rewritten(descriptor.code) });
          const { maxComputeWorkgroupStorageSize } = device.limits;
          const limits = new Proxy(device.limits, {
            get: (source, name) =>
              name === "maxComputeWorkgroupStorageSize"
                ? maxComputeWorkgroupStorageSize - emulationBytes
                : source[name as keyof GPUSupportedLimits],
          });
          Object.defineProperty(device, "limits", { value: limits });
          return device;
        },
      };
    },
  };
}

/** The end of a main function's arguments that are a subgroup's facts. */
const probe = /@builtin\(subgroup_size\) size: u32,\s*@builtin\(subgroup_invocation_id\) lane: u32,?\s*\) \{/;

function rewritten(code: string): string {
  const plain = code.replace(/^(enable|diagnostic).*$/gm, "");
  if (probe.test(plain)) return plain.replace(probe, ") {\n  let size = 32u;\n  let lane = local % 32u;");
  if (!plain.includes("subgroup_matrix")) return plain;
  const functions = new Map<string, string>();
  // Attention rescales its sums far more often than necessary, so that this code runs as well.
  const text = plain
    .replace("base + 11.0", "base + 0.5")
    .replace(
      /subgroupMatrixLoad<subgroup_matrix_(?:left|right|result)<(f16|f32), 16, 16>, (row|col)_major>\(\s*&(\w+), /g,
      (_, type, order, array) => {
        const name = `load_${array}_${type}_${order}`;
        functions.set(name, loadOf(name, array, type, order));
        return `${name}(local, `;
      },
    )
    .replace(/subgroupMatrixStore<row_major>\(\s*&(\w+), /g, (_, array) => {
      functions.set(`store_${array}`, storeOf(array, new RegExp(`${array}: array<vec4f`).test(plain)));
      return `store_${array}(local, `;
    })
    .replace(/subgroup_matrix_result<f32, 16, 16>\(\)/g, "Matrix()")
    .replace(/subgroupMatrixMultiplyAccumulate\(/g, "multiply_accumulate(local, ")
    .replace(/subgroupShuffleXor\((\w+), 16u\)/g, "exchanged($1, local)");
  return `${text}\n${matrix}\n${[...functions.values()].join("\n")}`;
}

const matrix = `
// Thread l of a subgroup has columns 8 (l % 2) to 8 (l % 2) + 7 of row l / 2.
struct Matrix { m: array<f32, 8> }
var<workgroup> lefts: array<u32, 4u * THREADS>;
var<workgroup> rights: array<u32, 4u * THREADS>;
fn multiply_accumulate(local: u32, a: Matrix, b: Matrix, c: Matrix) -> Matrix {
  workgroupBarrier();
  for (var i = 0u; i < 4u; i++) {
    lefts[4u * local + i] = pack2x16float(vec2f(a.m[2u * i], a.m[2u * i + 1u]));
    rights[4u * local + i] = pack2x16float(vec2f(b.m[2u * i], b.m[2u * i + 1u]));
  }
  workgroupBarrier();
  var sums = c;
  let base = local / 32u * 256u;
  for (var k = 0u; k < 16u; k++) { for (var i = 0u; i < 8u; i++) {
    let left = base + local % 32u / 2u * 16u + k;
    let right = base + 16u * k + local % 2u * 8u + i;
    sums.m[i] += unpack2x16float(lefts[left / 2u])[left % 2u] * unpack2x16float(rights[right / 2u])[right % 2u];
  } }
  return sums;
}
var<workgroup> exchange: array<f32, 128>;
fn exchanged(x: f32, local: u32) -> f32 {
  exchange[local] = x;
  workgroupBarrier();
  let other = exchange[local ^ 16u];
  workgroupBarrier();
  return other;
}`;

function loadOf(name: string, array: string, type: string, order: string): string {
  const [line, place] = order === "row" ? ["r", "c"] : ["c", "r"];
  const each = type === "f16" ? 8 : 4;
  const word = `bitcast<vec4u>(${array}[at + ${line} * stride + ${place} / ${each}u])`;
  const value =
    type === "f16"
      ? `unpack2x16float(${word}[${place} % 8u / 2u])[${place} % 2u]`
      : `bitcast<f32>(${word}[${place} % 4u])`;
  return `fn ${name}(local: u32, at: u32, stride: u32) -> Matrix {
  var all = Matrix();
  let r = local % 32u / 2u;
  for (var i = 0u; i < 8u; i++) {
    let c = local % 2u * 8u + i;
    all.m[i] = ${value};
  }
  return all;
}`;
}

function storeOf(array: string, floats: boolean): string {
  return `fn store_${array}(local: u32, at: u32, all: Matrix, stride: u32) {
  for (var i = 0u; i < 8u; i++) {
    let c = local % 2u * 8u + i;
    ${array}[at + local % 32u / 2u * stride + c / 4u][c % 4u] = ${floats ? "all.m[i]" : "bitcast<u32>(all.m[i])"};
  }
}`;
}
