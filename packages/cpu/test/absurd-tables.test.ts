import {
  type Backend,
  type Buffer,
  catalogue,
  type OperandRule,
  type OpName,
  operandBytes,
  operandIsUsed,
} from "@ziggurat/tensor";
import { cases } from "@ziggurat/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cpu } from "../src/index.js";

// Tables in device memory that hold absurd numbers: kernels stay within their operands, and the backend lives on.

const absurd = [-1, -(2 ** 31), 2 ** 20, 2 ** 31 - 1];
const guard = 0x5a;
const guardBytes = 256;
/** The ops that read the table of a name, and write by it. */
const tables: Readonly<Record<string, readonly OpName[]>> = {
  length: [
    "append",
    "attention",
    "decodeAttention",
    "watch",
    "topk",
    "order",
    "evict",
    "load",
    "store",
    "reduce",
    "pool",
  ],
  keep: ["topk"],
  count: ["gather", "evict"],
};

type Loose = Readonly<Record<string, never>>;

/** One case of each op, with table `name` full of `value`; returns the guards that changed. */
async function run(backend: Backend, op: OpName, name: string, value: number): Promise<string[]> {
  const test =
    cases.find((other) => other.op === op && JSON.stringify(other.spec).includes("128")) ??
    cases.filter((other) => other.op === op).at(-1)!;
  const buffers: [string, Buffer, number][] = [];
  const operands: Record<string, { buffer: Buffer; offset: number }> = {};
  const spec = { window: 0, from: 0, planes: 0, rotary: 0, tableRows: 0, axis: 0, ...test.spec } as unknown as Loose;
  for (const [operand, rule] of Object.entries<OperandRule>(catalogue[op].operands)) {
    if (!operandIsUsed(rule.when, spec)) continue;
    const bytes = operandBytes(rule, spec, spec);
    const buffer = backend.allocate(bytes + 2 * guardBytes, "test");
    backend.write({ buffer, offset: 0 }, new Uint8Array(buffer.bytes).fill(guard));
    const words = new Int32Array(Math.ceil(bytes / 4)).fill(operand === name ? value : 0);
    backend.write({ buffer, offset: guardBytes }, new Uint8Array(words.buffer, 0, bytes));
    buffers.push([operand, buffer, bytes]);
    operands[operand] = { buffer, offset: guardBytes };
  }
  backend.dispatch(await backend.prepare(op, test.spec as never), operands as never);
  const changed: string[] = [];
  for (const [operand, buffer, bytes] of buffers) {
    const after = await backend.read({ buffer, offset: 0 }, buffer.bytes);
    const around = [...after.subarray(0, guardBytes), ...after.subarray(guardBytes + Math.ceil(bytes / 4) * 4)];
    if (around.some((byte) => byte !== guard)) changed.push(operand);
    backend.free(buffer);
  }
  return changed;
}

describe.each([
  { name: "shared memory", create: () => cpu({ threads: 2, simd: "base" }) },
  { name: "memory that is not shared", create: () => cpu({ shared: false, simd: "base" }) },
])("absurd tables, $name", ({ create }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await create();
  });
  afterAll(() => backend.dispose());

  const all = Object.entries(tables).flatMap(([name, ops]) => ops.map((op) => [op, name] as const));
  it.each(all)("%s stays within its operands, whatever %s holds", async (op, name) => {
    for (const value of absurd) expect(await run(backend, op, name, value), `${name} ${value}`).toEqual([]);
    await backend.synchronise();
  });
});
