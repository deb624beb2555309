import type { Gpu, OptionalFeature } from "./options.js";

/** The optional features that an adapter has and options do not mask. */
export interface Features {
  /** Features to request from the device. */
  readonly required: readonly GPUFeatureName[];
  readonly subgroups: boolean;
  /** Arithmetic on 16-bit floats in shaders. */
  readonly half: boolean;
  /** Products of 16 x 16 matrices of f16 by a subgroup, summed in f32. Experimental: browsers do not have them. */
  readonly matrix: boolean;
  /** Dot products of four bytes at a time. */
  readonly dots: boolean;
}

/** `GPUAdapterInfo` of adapters that have the experimental feature. */
interface MatrixInfo {
  readonly subgroupMatrixConfigs?: Iterable<{
    componentType: string;
    resultComponentType: string;
    M: number;
    N: number;
    K: number;
  }>;
}

const matrixFeature = "chromium-experimental-subgroup-matrix" as GPUFeatureName;

/** Chooses features. `timed`: whether dispatches will be timed. */
export function featuresOf(
  adapter: GPUAdapter,
  gpu: Gpu,
  without: readonly OptionalFeature[],
  timed: boolean,
): Features {
  const has = (feature: GPUFeatureName, name: OptionalFeature) =>
    adapter.features.has(feature) && !without.includes(name);
  const subgroups = has("subgroups", "subgroups");
  const half = has("shader-f16", "shaderF16");
  const { subgroupMatrixConfigs = [] } = adapter.info as MatrixInfo;
  const fits = [...subgroupMatrixConfigs].some(
    ({ componentType, resultComponentType, M, N, K }) =>
      componentType === "f16" && resultComponentType === "f32" && M === 16 && N === 16 && K === 16,
  );
  const matrix = subgroups && half && fits && has(matrixFeature, "subgroupMatrix");
  const required: GPUFeatureName[] = [];
  if (subgroups) required.push("subgroups");
  if (half) required.push("shader-f16");
  if (matrix) required.push(matrixFeature);
  if (timed && adapter.features.has("timestamp-query")) required.push("timestamp-query");
  // Apple's GPUs have no such instruction.
  const dots =
    adapter.info.vendor !== "apple" &&
    (gpu.wgslLanguageFeatures?.has("packed_4x8_integer_dot_product") ?? false) &&
    !without.includes("packedDots");
  return { required, subgroups, half, matrix, dots };
}
