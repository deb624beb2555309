import type { Backend, Buffer, Slice } from "./backend.js";
import { bytesOf } from "./dtype.js";
import { type Node, topological } from "./graph.js";
import { ShapeError } from "./tensor.js";

/** An expression as dispatches. */
export interface Compiled {
  /** Where each output is, f32, in the order asked for. An output that is an input stays where it was bound. */
  readonly outputs: readonly Slice[];
  /** Enqueues the dispatches; may be called again, and inside `record`. */
  run(): void;
  /** Frees the temporaries, outputs included. */
  free(): void;
}

export interface Bindings {
  /** f32 numbers of every input, by name. */
  readonly inputs: Readonly<Record<string, Slice>>;
  /** i32 [heads]: how many rows of each KV head are real. */
  readonly length: Slice;
}

/** The source of temporaries. Bytes need not be zero. */
export interface Allocator {
  allocate(bytes: number): Buffer;
  free(buffer: Buffer): void;
}

type Triple = readonly [number, number, number];
const triple = (shape: readonly number[]): Triple => [shape[0] ?? 1, shape[1] ?? 1, shape[2] ?? 1];
const elements = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const dims = (letter: string, [x, y, z]: Triple) => ({ [`${letter}0`]: x, [`${letter}1`]: y, [`${letter}2`]: z });
const none: Triple = [1, 1, 1];

/**
 * Prepares the kernels of an expression and allocates its temporaries. A temporary is reused as soon as nothing needs
 * it. Throws a {@link ShapeError} that names an input that is not bound.
 */
export async function compile(
  backend: Backend,
  outputs: readonly Node[],
  { inputs, length }: Bindings,
  allocator: Allocator,
): Promise<Compiled> {
  const nodes = topological(outputs);
  const places = new Map<Node, Slice>();
  const owned: Buffer[] = [];
  const idle: Buffer[] = [];
  const users = new Map<Node, number>();
  for (const node of nodes) for (const from of node.inputs) users.set(from, (users.get(from) ?? 0) + 1);
  for (const out of outputs) users.set(out, Number.POSITIVE_INFINITY);

  const place = (node: Node): Slice => {
    const bytes = bytesOf("f32", node.shape);
    const at = idle.findIndex((buffer) => buffer.bytes === bytes);
    const buffer = at >= 0 ? idle.splice(at, 1)[0]! : allocator.allocate(bytes);
    if (at < 0) owned.push(buffer);
    return { buffer, offset: 0 };
  };
  const steps: (() => void)[] = [];
  for (const node of nodes) {
    if (node.what.op === "input") {
      const slice = inputs[node.what.name];
      if (!slice) throw new ShapeError(`the expression reads "${node.what.name}", which is not bound`);
      places.set(node, slice);
      continue;
    }
    const out = place(node);
    places.set(node, out);
    const operands = node.inputs.map((from) => places.get(from)!);
    steps.push(await prepareNode(backend, node, operands, length, out));
    for (const from of new Set(node.inputs)) {
      const left = users.get(from)! - node.inputs.filter((x) => x === from).length;
      users.set(from, left);
      if (left === 0 && from.what.op !== "input") idle.push(places.get(from)!.buffer);
    }
  }
  return {
    outputs: outputs.map((node) => places.get(node)!),
    run: () => steps.forEach((step) => step()),
    free: () => owned.splice(0).forEach((buffer) => allocator.free(buffer)),
  };
}

async function prepareNode(
  backend: Backend,
  node: Node,
  from: readonly Slice[],
  length: Slice,
  out: Slice,
): Promise<() => void> {
  const { what, shape, counts } = node;
  const [d0, d1, d2] = triple(shape);
  const first = node.inputs[0]!;
  const x = from[0]!;
  switch (what.op) {
    case "unary": {
      const kernel = await backend.prepare("unary", { elements: elements(shape), x: "f32", kind: what.kind });
      return () => backend.dispatch(kernel, { x, out });
    }
    case "binary": {
      const [a0, a1, a2] = triple(first.shape);
      const [b0, b1, b2] = what.value === undefined ? triple(node.inputs[1]!.shape) : none;
      const literal = what.value !== undefined;
      const kernel = await backend.prepare("binary", {
        d0,
        d1,
        d2,
        a0,
        a1,
        a2,
        b0,
        b1,
        b2,
        kind: what.kind,
        literal,
        value: what.value ?? 0,
      });
      return () => backend.dispatch(kernel, { a: x, out, ...(literal ? {} : { b: from[1]! }) });
    }
    case "where": {
      const literalA = what.valueA !== undefined;
      const literalB = what.valueB !== undefined;
      const a = literalA ? none : triple(node.inputs[1]!.shape);
      const b = literalB ? none : triple(node.inputs.at(-1)!.shape);
      const spec = {
        ...dims("d", [d0, d1, d2]),
        ...dims("m", triple(first.shape)),
        ...dims("a", a),
        ...dims("b", b),
      } as WhereDims;
      const kernel = await backend.prepare("where", {
        ...spec,
        literalA,
        valueA: what.valueA ?? 0,
        literalB,
        valueB: what.valueB ?? 0,
      });
      return () =>
        backend.dispatch(kernel, {
          mask: x,
          out,
          ...(literalA ? {} : { a: from[1]! }),
          ...(literalB ? {} : { b: from.at(-1)! }),
        });
    }
    case "reduce": {
      const [n0, n1, n2] = triple(first.shape);
      const ragged = what.axis === 1;
      const share = ragged ? n0 / counts.heads : 1;
      const kernel = await backend.prepare("reduce", {
        d0: n0,
        d1: n1,
        d2: n2,
        axis: what.axis,
        kind: what.kind,
        ragged,
        share,
      });
      return () => backend.dispatch(kernel, { x, out, ...(ragged ? { length } : {}) });
    }
    case "group": {
      const kernel = await backend.prepare("reduce", {
        d0,
        d1: counts.group,
        d2: d1,
        axis: 1,
        kind: what.kind,
        ragged: false,
        share: 1,
      });
      return () => backend.dispatch(kernel, { x, out });
    }
    case "ungroup":
    case "spread": {
      // Adding 0 copies every block of numbers as often as its heads need it.
      const [blocks, copies] = what.op === "ungroup" ? [counts.heads, counts.group] : [first.shape[0]!, counts.kvHeads];
      const block = elements(first.shape) / blocks;
      const sizes = { d0: blocks, d1: copies, d2: block, a0: blocks, a1: 1, a2: block, b0: 1, b1: 1, b2: 1 };
      const kernel = await backend.prepare("binary", { ...sizes, kind: "add", literal: true, value: 0 });
      return () => backend.dispatch(kernel, { a: x, out });
    }
    case "heads": {
      const sizes = { d0, d1: first.shape[0]! / d0, d2: d1, axis: 1, share: 1 };
      const kernel = await backend.prepare("reduce", { ...sizes, kind: what.kind, ragged: false });
      return () => backend.dispatch(kernel, { x, out });
    }
    case "through": {
      const gram = node.inputs[1]!;
      const repeat = d0 / first.shape[0]!;
      const { group } = counts;
      const sizes = { heads: d0, group, repeat, share: gram.shape[0]!, capacity: d1, size: gram.shape[2]! };
      const kernel = await backend.prepare("through", sizes);
      return () => backend.dispatch(kernel, { x, gram: from[1]!, length, out });
    }
    case "pool": {
      const kernel = await backend.prepare("pool", {
        heads: d0,
        capacity: d1,
        size: d2,
        kernel: what.kernel,
        kind: what.kind,
        share: d0 / counts.heads,
      });
      return () => backend.dispatch(kernel, { x, length, out });
    }
    case "hash": {
      const kernel = await backend.prepare("hash", {
        heads: d0,
        capacity: d1,
        kvHeads: counts.kvHeads,
        seed: what.seed,
      });
      return () => backend.dispatch(kernel, { positions: x, out });
    }
    default:
      throw new ShapeError(`a ${what.op} node is no dispatch`);
  }
}

type WhereDims = Readonly<
  Record<"d0" | "d1" | "d2" | "m0" | "m1" | "m2" | "a0" | "a1" | "a2" | "b0" | "b1" | "b2", number>
>;
