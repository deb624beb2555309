import { OpError } from "@ziggurat/tensor";
import type { Group } from "./shader.js";
import type { Bound, Stage } from "./stage.js";

/** The buffer and byte offset of an operand. */
export interface Place {
  readonly buffer: GPUBuffer;
  readonly offset: number;
}

/**
 * A binding of a dispatch: the stretch of a buffer that contains all operands of a group. It is split into windows if
 * it is longer than one binding may be.
 */
export interface Binding extends Omit<Group, "windows"> {
  readonly buffer: GPUBuffer;
  readonly stretches: readonly Stretch[];
  /** The element at which each operand starts. */
  readonly at: readonly number[];
  /** Whether it must be copied first: it is read-only, and the same dispatch writes its buffer as another type. */
  readonly copied: boolean;
}

/** A range of bytes of a buffer. */
interface Stretch {
  readonly offset: number;
  readonly size: number;
}

/** Offsets of bindings that are multiples of this are valid on every device. */
const alignment = 256;
const sizes: Readonly<Record<string, number>> = {
  u32: 4,
  i32: 4,
  f32: 4,
  "vec2<u32>": 8,
  "vec4<u32>": 16,
  "vec4<f32>": 16,
};
const sizeOf = ({ type }: { type: string }) => sizes[type]!;

/** Rounds a buffer size up to whole quads, so that wide loads of its last bytes stay inside. */
export const padded = (bytes: number): number => Math.max(Math.ceil(bytes / 16) * 16, 16);

/**
 * Binds the operands of a stage. Operands of one type in one buffer share a binding, because WebGPU allows no dispatch
 * to write bytes that it binds twice. A stretch longer than `limit` bytes becomes several bindings. Throws an `OpError`
 * if the operands cannot be bound.
 */
export function bindingsOf(
  op: string,
  stage: Stage,
  places: Readonly<Record<string, Place>>,
  limit: number,
): readonly Binding[] {
  const groups: { names: string[]; bounds: Bound[]; buffer: GPUBuffer; starts: number[] }[] = [];
  for (const [name, bound] of Object.entries(stage.bound)) {
    const { buffer, offset } = places[bound.operand]!;
    const start = offset + bound.offset;
    const end = start + bound.bytes;
    const shared = groups.find((group) => {
      if (group.buffer !== buffer || group.bounds[0]!.type !== bound.type) return false;
      const stretch =
        Math.max(end, ...group.bounds.map(({ bytes }, i) => group.starts[i]! + bytes)) -
        Math.min(start, ...group.starts);
      return stretch <= limit || bound.written || group.bounds.some(({ written }) => written);
    });
    const group = shared ?? { names: [], bounds: [], buffer, starts: [] };
    if (!shared) groups.push(group);
    group.names.push(name);
    group.bounds.push(bound);
    group.starts.push(start);
  }
  const writtenBuffers = new Map<GPUBuffer, number>();
  for (const { bounds, buffer } of groups) {
    if (!bounds.some(({ written }) => written)) continue;
    const count = (writtenBuffers.get(buffer) ?? 0) + 1;
    writtenBuffers.set(buffer, count);
    if (count > 1)
      throw new OpError(
        `${op}: operands of different types are written in one buffer; WebGPU needs them in buffers of their own`,
      );
  }
  return groups.map(({ names, bounds, buffer, starts }) => {
    const type = bounds[0]!.type;
    const offset = Math.floor(Math.min(...starts) / alignment) * alignment;
    const end = Math.min(Math.max(...bounds.map(({ bytes }, i) => starts[i]! + padded(bytes))), buffer.size);
    const size = Math.max(Math.ceil((end - offset) / 16) * 16, 16);
    const written = bounds.some((bound) => bound.written);
    const at = starts.map((start) => (start - offset) / sizeOf({ type }));
    const copied = !written && writtenBuffers.has(buffer);
    const binding = { type, names, written, buffer, at, copied };
    if (size <= limit) return { ...binding, stretches: [{ offset, size }] };
    if (copied)
      throw new OpError(
        `${op}: ${names.join(", ")} must be copied, ${size} bytes, and this device binds at most ${limit}; use buffers of their own`,
      );
    const window = 2 ** Math.floor(Math.log2(limit));
    const windows = Math.ceil(size / window);
    const stretches = Array.from({ length: windows }, (_, i) => ({
      offset: offset + i * window,
      size: Math.min(window, size - i * window),
    }));
    return { ...binding, stretches, window: window / sizeOf({ type }) };
  });
}

const tables = ["offset", "length", "seen", "ended", "keep", "counter", "base", "targetOffset", "targetLength"];

/** The groups that dispatches of a stage usually have: tables share a buffer, and the residual is `out` itself. */
export function usualGroups({ bound }: Stage): readonly Group[] {
  const groups = new Map<string, { names: string[]; type: string; written: boolean }>();
  for (const [name, { type, written }] of Object.entries(bound)) {
    const key = tables.includes(name) ? `tables ${type}` : name === "out" && bound.residual ? "residual" : name;
    const group = groups.get(key);
    groups.set(key, { names: [...(group?.names ?? []), name], type, written: written || (group?.written ?? false) });
  }
  return [...groups.values()];
}
