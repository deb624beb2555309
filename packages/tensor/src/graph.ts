import { type Reduction, ShapeError, type Tensor } from "./tensor.js";

// Tensors as nodes of an expression. Policies build them; `compile` turns them into dispatches; nothing is computed
// here.

type Binary = "add" | "sub" | "mul" | "div" | "max" | "min" | "lt" | "le" | "gt" | "ge" | "eq" | "and" | "or";
type Unary = "neg" | "abs" | "exp" | "log" | "sqrt" | "not";

/** What a node computes from its inputs; the fields are attributes of the op of the same name in the catalogue. */
export type NodeOp =
  | { readonly op: "input"; readonly name: string }
  | { readonly op: "view" }
  | { readonly op: "unary"; readonly kind: Unary }
  | { readonly op: "binary"; readonly kind: Binary; readonly value?: number }
  | { readonly op: "where"; readonly valueA?: number; readonly valueB?: number }
  | { readonly op: "reduce"; readonly kind: Reduction | "norm"; readonly axis: 1 | 2 }
  | { readonly op: "group"; readonly kind: Reduction }
  | { readonly op: "pool"; readonly kind: "avg" | "max"; readonly kernel: number }
  | { readonly op: "hash"; readonly seed: number };

/** The heads that row tensors of one expression share. */
export interface HeadCounts {
  /** Sequences x KV heads: how many `length`s there are. */
  readonly heads: number;
  /** KV heads of one sequence. */
  readonly kvHeads: number;
  /** Query heads that share a KV head. */
  readonly group: number;
}

const show = (shape: readonly number[]) => `[${shape.join(", ")}]`;

/** A tensor expression. Made by {@link input} and by the methods of other tensors. */
// biome-ignore format: the methods read as a table, one a line
export class Node implements Tensor {
  readonly shape: readonly number[];
  readonly what: NodeOp;
  readonly inputs: readonly Node[];
  readonly counts: HeadCounts;

  constructor(shape: readonly number[], what: NodeOp, inputs: readonly Node[], counts: HeadCounts) {
    this.shape = shape;
    this.what = what;
    this.inputs = inputs;
    this.counts = counts;
  }

  #node(shape: readonly number[], what: NodeOp, ...others: Node[]): Node {
    return new Node(shape, what, [this, ...others], this.counts);
  }

  #broadcast(...others: Node[]): readonly number[] {
    return others.reduce<readonly number[]>((shape, other) => {
      const fits = shape.length === other.shape.length && shape.every((n, axis) => n === other.shape[axis] || n === 1 || other.shape[axis] === 1);
      if (!fits) throw new ShapeError(`shapes ${show(shape)} and ${show(other.shape)} do not broadcast; axes must be equal or 1`);
      return shape.map((n, axis) => Math.max(n, other.shape[axis]!));
    }, this.shape);
  }

  #binary(kind: Binary, other: Tensor | number): Node {
    if (typeof other === "number") return this.#node(this.shape, { op: "binary", kind, value: other });
    const right = asNode(other);
    return this.#node(this.#broadcast(right), { op: "binary", kind }, right);
  }

  #unary(kind: Unary): Node {
    return this.#node(this.shape, { op: "unary", kind });
  }

  #reduce(kind: Reduction | "norm", axis: 1 | 2): Node {
    if ((axis !== 1 && axis !== 2) || axis >= this.shape.length) {
      throw new ShapeError(`${kind}(${axis}): ${show(this.shape)} has no such axis to reduce; 1 is rows, 2 is size`);
    }
    return this.#node(this.shape.map((n, i) => (i === axis ? 1 : n)), { op: "reduce", kind, axis });
  }

  #pool(kind: "avg" | "max", kernel: number): Node {
    if (this.shape.length !== 2) throw new ShapeError(`${kind}Pool: needs [heads, rows], not ${show(this.shape)}`);
    if (!Number.isSafeInteger(kernel) || kernel < 1 || kernel % 2 === 0) {
      throw new ShapeError(`${kind}Pool: kernel is ${kernel}; it must be an odd whole number of at least 1`);
    }
    return kernel === 1 ? this : this.#node(this.shape, { op: "pool", kind, kernel });
  }

  add(other: Tensor | number) { return this.#binary("add", other); }
  sub(other: Tensor | number) { return this.#binary("sub", other); }
  mul(other: Tensor | number) { return this.#binary("mul", other); }
  div(other: Tensor | number) { return this.#binary("div", other); }
  maximum(other: Tensor | number) { return this.#binary("max", other); }
  minimum(other: Tensor | number) { return this.#binary("min", other); }
  lt(other: Tensor | number) { return this.#binary("lt", other); }
  le(other: Tensor | number) { return this.#binary("le", other); }
  gt(other: Tensor | number) { return this.#binary("gt", other); }
  ge(other: Tensor | number) { return this.#binary("ge", other); }
  eq(other: Tensor | number) { return this.#binary("eq", other); }
  and(other: Tensor) { return this.#binary("and", other); }
  or(other: Tensor) { return this.#binary("or", other); }
  neg() { return this.#unary("neg"); }
  abs() { return this.#unary("abs"); }
  exp() { return this.#unary("exp"); }
  log() { return this.#unary("log"); }
  sqrt() { return this.#unary("sqrt"); }
  not() { return this.#unary("not"); }
  sum(axis: 1 | 2) { return this.#reduce("sum", axis); }
  mean(axis: 1 | 2) { return this.#reduce("mean", axis); }
  max(axis: 1 | 2) { return this.#reduce("max", axis); }
  min(axis: 1 | 2) { return this.#reduce("min", axis); }
  norm(axis: 1 | 2) { return this.#reduce("norm", axis); }
  avgPool(kernel: number) { return this.#pool("avg", kernel); }
  maxPool(kernel: number) { return this.#pool("max", kernel); }

  where(yes: Tensor | number, no: Tensor | number): Node {
    const nodes = [yes, no].filter((x) => typeof x !== "number").map(asNode);
    return this.#node(
      this.#broadcast(...nodes),
      { op: "where", ...(typeof yes === "number" ? { valueA: yes } : {}), ...(typeof no === "number" ? { valueB: no } : {}) },
      ...nodes,
    );
  }

  squeeze(axis: 2): Node {
    if (axis !== 2 || this.shape[2] !== 1) throw new ShapeError(`squeeze(${axis}): ${show(this.shape)} has no last axis of 1`);
    return this.#node(this.shape.slice(0, 2), { op: "view" });
  }

  unsqueeze(axis: 2): Node {
    if (axis !== 2 || this.shape.length !== 2) throw new ShapeError(`unsqueeze(${axis}): needs [heads, rows], not ${show(this.shape)}`);
    return this.#node([...this.shape, 1], { op: "view" });
  }

  group(kind: Reduction): Node {
    const { heads, group } = this.counts;
    if (this.shape.length !== 2 || this.shape[0] !== heads * group) {
      throw new ShapeError(`group: needs [${heads * group} query heads, rows], not ${show(this.shape)}`);
    }
    return group === 1 ? this : this.#node([heads, this.shape[1]!], { op: "group", kind });
  }

  hash(seed: number): Node {
    if (!Number.isSafeInteger(seed) || seed < 0 || seed >= 2 ** 31) {
      throw new ShapeError(`hash: seed is ${seed}; it must be a whole number from 0 to 2147483647`);
    }
    if (this.shape.length !== 2) throw new ShapeError(`hash: needs [heads, rows], not ${show(this.shape)}`);
    return this.#node(this.shape, { op: "hash", seed });
  }
}

/** The expression behind a tensor. Throws where `tensor` comes from elsewhere. */
export function asNode(tensor: Tensor): Node {
  if (tensor instanceof Node) return tensor;
  throw new ShapeError(`expected a tensor made from the policy's view, got ${typeof tensor}`);
}

/** A tensor whose numbers are bound when its expression is compiled. */
export const input = (name: string, shape: readonly number[], counts: HeadCounts): Node =>
  new Node(shape, { op: "input", name }, [], counts);

/** All nodes that `outputs` depend on, inputs before users. */
export function topological(outputs: readonly Node[]): Node[] {
  const seen = new Set<Node>();
  const sorted: Node[] = [];
  const visit = (node: Node) => {
    if (seen.has(node)) return;
    seen.add(node);
    node.inputs.forEach(visit);
    sorted.push(node);
  };
  outputs.forEach(visit);
  return sorted;
}

/** Names of the inputs that `outputs` depend on. */
export const inputsOf = (outputs: readonly Node[]): ReadonlySet<string> =>
  new Set(topological(outputs).flatMap(({ what }) => (what.op === "input" ? [what.name] : [])));

/** Whether the expression is about neighbours in the text, so that rows must lie in its order. */
export const needsTextOrder = (outputs: readonly Node[]): boolean =>
  topological(outputs).some(({ what }) => what.op === "pool");
