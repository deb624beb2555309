// Writes GGUF files as llama.cpp's converter does, for tests of the reader.

/** A value with the format's name of its type. */
export type Typed =
  | readonly ["u16" | "u32" | "i32" | "f32" | "u64" | "bool", number]
  | readonly ["string", string]
  | readonly ["strings", readonly string[]]
  | readonly ["f32s" | "i32s", readonly number[]];

export interface GgufTensor {
  readonly name: string;
  /** Row-major; written innermost first. */
  readonly shape: readonly number[];
  readonly type: number;
  readonly bytes: Uint8Array;
}

const types = { u16: 2, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, u64: 10 } as const;

export function writeGguf(
  metadata: Readonly<Record<string, Typed>>,
  tensors: readonly GgufTensor[],
  alignment = 32,
): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  const push = (bytes: Uint8Array) => {
    parts.push(bytes);
    size += bytes.length;
  };
  const number = (bytes: number, put: (view: DataView) => void) => {
    const view = new DataView(new ArrayBuffer(bytes));
    put(view);
    push(new Uint8Array(view.buffer));
  };
  const u32 = (value: number) => number(4, (view) => view.setUint32(0, value, true));
  const u64 = (value: number) => number(8, (view) => view.setBigUint64(0, BigInt(value), true));
  const text = (value: string) => {
    const bytes = new TextEncoder().encode(value);
    u64(bytes.length);
    push(bytes);
  };
  const scalar = (type: keyof typeof types, value: number | string) => {
    if (type === "string") text(value as string);
    else if (type === "f32") number(4, (view) => view.setFloat32(0, value as number, true));
    else if (type === "bool") push(Uint8Array.of(value as number));
    else if (type === "u16") number(2, (view) => view.setUint16(0, value as number, true));
    else if (type === "u64") u64(value as number);
    else number(4, (view) => view.setInt32(0, value as number, true));
  };
  push(new TextEncoder().encode("GGUF"));
  u32(3);
  u64(tensors.length);
  u64(Object.keys(metadata).length);
  for (const [key, [type, value]] of Object.entries(metadata)) {
    text(key);
    if (type === "strings" || type === "f32s" || type === "i32s") {
      const element = ({ strings: "string", f32s: "f32", i32s: "i32" } as const)[type];
      u32(9);
      u32(types[element]);
      u64(value.length);
      for (const one of value) scalar(element, one);
    } else {
      u32(types[type]);
      scalar(type, value as number | string);
    }
  }
  let offset = 0;
  for (const { name, shape, type, bytes } of tensors) {
    text(name);
    u32(shape.length);
    for (const axis of [...shape].reverse()) u64(axis);
    u32(type);
    u64(offset);
    offset += Math.ceil(bytes.length / alignment) * alignment;
  }
  const pad = () => push(new Uint8Array((alignment - (size % alignment)) % alignment));
  pad();
  for (const { bytes } of tensors) {
    push(bytes);
    pad();
  }
  const file = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}

/** Metadata of a Llama so small that its weights do not matter; a tokenizer's come beside. */
export const tinyLlama = {
  "general.architecture": ["string", "llama"],
  "llama.block_count": ["u32", 1],
  "llama.context_length": ["u32", 64],
  "llama.embedding_length": ["u32", 32],
  "llama.feed_forward_length": ["u32", 32],
  "llama.attention.head_count": ["u32", 2],
  "llama.attention.layer_norm_rms_epsilon": ["f32", 1e-5],
} as const satisfies Readonly<Record<string, Typed>>;
