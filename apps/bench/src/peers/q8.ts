import { open, rename, rm } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { convert, readGguf } from "@ziggurat/runtime/formats";
import { file as fileOf } from "@ziggurat/runtime/node";
import { weightLayout } from "@ziggurat/tensor";

// Peers have fast kernels for Q8_0 where some have none for Q4_1. A Q4_1 file is rewritten: each such tensor becomes
// Q8_0, within half a step of its scale (0.4 % of the greatest weight of a block); everything else stays.

const q4_1 = 3;
const q8_0 = 8;

/** Writes `from` as `to` with its Q4_1 tensors in Q8_0. Resolves to their number; writes nothing if it is 0. */
export async function toQ8(from: string, to: string): Promise<number> {
  const source = (await fileOf(from).open(basename(from)))!;
  const gguf = await readGguf(source, `${dirname(from)}/${basename(from)}`);
  const tensors = [...gguf.tensors.values()];
  const count = tensors.filter(({ info }) => info.type === q4_1).length;
  if (count === 0) return 0;

  const alignment = Number(gguf.metadata.get("general.alignment") ?? 32);
  const pad = (bytes: number) => Math.ceil(bytes / alignment) * alignment;
  const entries = tensors.map(({ info, bytes }) => {
    const converted = info.type === q4_1;
    const numbers = info.shape.reduce((product, axis) => product * axis, 1);
    return { ...info, type: converted ? q8_0 : info.type, bytes: converted ? (numbers / 32) * 34 : bytes };
  });
  let offset = 0;
  const infos = entries.map((entry) => {
    const name = Buffer.from(entry.name);
    const info = Buffer.alloc(24 + name.length + 8 * entry.shape.length);
    let at = info.writeBigUInt64LE(BigInt(name.length), 0);
    at += name.copy(info, at);
    at = info.writeUInt32LE(entry.shape.length, at);
    for (const axis of [...entry.shape].reverse()) at = info.writeBigUInt64LE(BigInt(axis), at);
    at = info.writeUInt32LE(entry.type, at);
    info.writeBigUInt64LE(BigInt(offset), at);
    offset += pad(entry.bytes);
    return info;
  });
  // What names and places tensors has the same length before and after; it follows the metadata, which are kept as they
  // are.
  const all = Buffer.concat(infos);
  const begin = Math.min(...tensors.map((tensor) => tensor.begin));
  const metadata = await headerOf(source, tensors[0]!.info.name, begin);
  const part = `${to}.part`;
  const out = await open(part, "w");
  try {
    const head = Buffer.concat([metadata, all]);
    await out.write(head);
    await out.write(Buffer.alloc(pad(head.length) - head.length));
    for (const [index, tensor] of tensors.entries()) {
      const stored = await source.read(tensor.begin, tensor.bytes);
      const bytes = tensor.info.type === q4_1 ? blocksOf(stored, tensor.info.shape) : stored;
      await out.write(bytes);
      await out.write(Buffer.alloc(pad(entries[index]!.bytes) - bytes.length));
    }
    await out.close();
    await rename(part, to);
  } catch (error) {
    await out.close().catch(() => {});
    await rm(part, { force: true });
    throw error;
  }
  return count;
}

/** The bytes of a GGUF file before the entry of its first tensor, whose name is known. */
async function headerOf(
  source: { read(offset: number, length: number): Promise<Uint8Array> },
  name: string,
  begin: number,
): Promise<Buffer> {
  const header = Buffer.from(await source.read(0, begin));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(name)));
  const at = header.lastIndexOf(Buffer.concat([length, Buffer.from(name)]));
  return header.subarray(0, at);
}

/** Q4_1 blocks as Q8_0 blocks: 34 bytes, the scale before the quants. */
function blocksOf(stored: Uint8Array, shape: readonly number[]): Buffer {
  const width = shape.at(-1)!;
  const out = shape.reduce((product, axis) => product * axis, 1) / width;
  const planes = convert(convert(stored, "q4_1", "f32", [out, width]), "f32", "q8_0", [out, width]);
  const { scales } = weightLayout("q8_0", out, width);
  const blocks = Buffer.alloc(((out * width) / 32) * 34);
  for (let block = 0; block < (out * width) / 32; block++) {
    blocks.set(planes.subarray(scales + 2 * block, scales + 2 * block + 2), 34 * block);
    blocks.set(planes.subarray(32 * block, 32 * block + 32), 34 * block + 2);
  }
  return blocks;
}
