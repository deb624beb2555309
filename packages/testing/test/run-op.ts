import {
  type Backend,
  bytesOf,
  catalogue,
  type DType,
  type OperandRule,
  type Operands,
  type OpName,
  reference,
  type Slice,
  type Spec,
} from "@ziggurat/tensor";

type Given<N extends OpName> = { readonly [K in keyof Operands<N>]?: readonly number[] | Uint8Array };

/** Runs one op on plain numbers (f32, i32; other dtypes as bytes) and returns what its written operands hold then. */
export async function runOp<N extends OpName>(
  op: N,
  spec: Spec<N>,
  given: Given<N>,
  backend: Backend = reference(),
): Promise<Record<string, number[]>> {
  const operands: Record<string, Slice> = {};
  const kernel = await backend.prepare(op, spec);
  const full = kernel.spec as unknown as Record<string, number & DType>;
  const rules = Object.entries<OperandRule>(catalogue[op].operands);
  const dtypeOf = (rule: OperandRule) => (full[rule.dtype] ?? rule.dtype) as DType;
  for (const [name, rule] of rules) {
    const numbers = (given as Record<string, readonly number[] | Uint8Array | undefined>)[name];
    if (numbers === undefined && rule.when !== undefined) continue;
    const buffer = backend.allocate(bytesOf(dtypeOf(rule), rule.shape(full)), "test");
    operands[name] = { buffer, offset: 0 };
    if (!numbers) continue;
    const data =
      numbers instanceof Uint8Array
        ? numbers
        : dtypeOf(rule) === "i32"
          ? Int32Array.from(numbers)
          : Float32Array.from(numbers);
    if (data.byteLength !== buffer.bytes)
      throw new RangeError(`${op}: ${name} has ${data.byteLength} bytes, not ${buffer.bytes}`);
    backend.write({ buffer, offset: 0 }, data);
  }
  backend.dispatch(kernel, operands as unknown as Operands<N>);
  const results: Record<string, number[]> = {};
  for (const [name, rule] of rules) {
    const slice = operands[name];
    if (!slice || rule.access === "read") continue;
    const bytes = await backend.read(slice, slice.buffer.bytes);
    results[name] = dtypeOf(rule) === "i32" ? [...new Int32Array(bytes.buffer)] : [...new Float32Array(bytes.buffer)];
  }
  return results;
}
