import { reference } from "@ziggurat/tensor";
import { compile, type HeadCounts, input, type Node } from "@ziggurat/tensor/expression";

export interface Values {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** Numbers of several expressions, on the reference backend, the bytes of its temporaries and its dispatches. */
export async function evaluate(
  outputs: readonly Node[],
  values: Readonly<Record<string, Values>>,
  length: readonly number[],
) {
  const backend = reference();
  const hold = (data: Float32Array | Int32Array) => {
    const slice = { buffer: backend.allocate(data.byteLength, "input"), offset: 0 };
    backend.write(slice, data);
    return slice;
  };
  const inputs = Object.fromEntries(
    Object.entries(values).map(([name, { data }]) => [name, hold(Float32Array.from(data))]),
  );
  const allocator = {
    allocate: (bytes: number) => backend.allocate(bytes, "temporary"),
    free: (buffer: Parameters<typeof backend.free>[0]) => backend.free(buffer),
  };
  const plan = await compile(backend, outputs, { inputs, length: hold(Int32Array.from(length)) }, allocator);
  const temporary = backend.memory().labels.temporary?.live ?? 0;
  // Twice, the second time as a replay: the result must not depend on what the first run left behind.
  plan.run();
  const program = backend.record(() => plan.run());
  backend.replay(program);
  const numbers: number[][] = [];
  for (const [i, slice] of plan.outputs.entries()) {
    const bytes = await backend.read(slice, 4 * outputs[i]!.shape.reduce((a, b) => a * b, 1));
    numbers.push([...new Float32Array(bytes.buffer)]);
  }
  const { dispatches } = program;
  backend.release(program);
  plan.free();
  if ((backend.memory().labels.temporary?.live ?? 0) !== 0)
    throw new RangeError("a plan that is freed left temporaries behind");
  return { numbers, temporary, dispatches };
}

/** Inputs of an expression by their values. */
export const inputs = <K extends string>(values: Readonly<Record<K, Values>>, counts: HeadCounts): Record<K, Node> =>
  Object.fromEntries(
    Object.entries<Values>(values).map(([name, { shape }]) => [name, input(name, shape, counts)]),
  ) as Record<K, Node>;
