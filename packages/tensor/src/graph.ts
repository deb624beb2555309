import { type Axis, type Reduction, ShapeError, type Tensor } from "./tensor.js";

// Tensors as nodes of an expression. Policies build them, `compile` turns them into dispatches, and nothing is computed
// here.

type Binary = "add" | "sub" | "mul" | "div" | "max" | "min" | "lt" | "le" | "gt" | "ge" | "eq" | "and" | "or";
type Unary = "neg" | "abs" | "exp" | "log" | "sqrt" | "not";

/** What a node computes from its inputs. The fields are attributes of the op of the same name in the catalogue. */
export type NodeOp =
  | { readonly op: "input"; readonly name: string }
  | { readonly op: "unary"; readonly kind: Unary }
  | { readonly op: "binary"; readonly kind: Binary; readonly value?: number }
  | { readonly op: "where"; readonly valueA?: number; readonly valueB?: number }
  | { readonly op: "reduce"; readonly kind: Reduction | "norm"; readonly axis: 1 | 2 }
  | { readonly op: "group"; readonly kind: Reduction }
  | { readonly op: "ungroup" }
  | { readonly op: "heads"; readonly kind: Reduction }
  | { readonly op: "spread" }
  | { readonly op: "through" }
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

/** The names of a tensor's axes, the heads first: [heads, rows], [heads, rows, size] or [heads, rows, queries]. */
export type Axes = readonly ["heads", ...Axis[]];

const axesOf: Readonly<Record<number, Axes>> = { 2: ["heads", "rows"], 3: ["heads", "rows", "size"] };

const show = (shape: readonly number[]) => `[${shape.join(", ")}]`;

/** A tensor expression. Made by {@link input} and by the methods of other tensors. */
export class Node implements Tensor {
  readonly shape: readonly number[];
  readonly axes: Axes;
  readonly what: NodeOp;
  readonly inputs: readonly Node[];
  readonly counts: HeadCounts;

  constructor(shape: readonly number[], axes: Axes, what: NodeOp, inputs: readonly Node[], counts: HeadCounts) {
    this.shape = shape;
    this.axes = axes;
    this.what = what;
    this.inputs = inputs;
    this.counts = counts;
  }

  add(other: Tensor | number): Node {
    return this.#binary("add", other);
  }

  sub(other: Tensor | number): Node {
    return this.#binary("sub", other);
  }

  mul(other: Tensor | number): Node {
    return this.#binary("mul", other);
  }

  div(other: Tensor | number): Node {
    return this.#binary("div", other);
  }

  maximum(other: Tensor | number): Node {
    return this.#binary("max", other);
  }

  minimum(other: Tensor | number): Node {
    return this.#binary("min", other);
  }

  lt(other: Tensor | number): Node {
    return this.#binary("lt", other);
  }

  le(other: Tensor | number): Node {
    return this.#binary("le", other);
  }

  gt(other: Tensor | number): Node {
    return this.#binary("gt", other);
  }

  ge(other: Tensor | number): Node {
    return this.#binary("ge", other);
  }

  eq(other: Tensor | number): Node {
    return this.#binary("eq", other);
  }

  and(other: Tensor): Node {
    return this.#binary("and", other);
  }

  or(other: Tensor): Node {
    return this.#binary("or", other);
  }

  neg(): Node {
    return this.#unary("neg");
  }

  abs(): Node {
    return this.#unary("abs");
  }

  exp(): Node {
    return this.#unary("exp");
  }

  log(): Node {
    return this.#unary("log");
  }

  sqrt(): Node {
    return this.#unary("sqrt");
  }

  not(): Node {
    return this.#unary("not");
  }

  where(yes: Tensor | number, no: Tensor | number): Node {
    const nodes = [yes, no].filter((x) => typeof x !== "number").map(asNode);
    const valueA = typeof yes === "number" ? { valueA: yes } : {};
    const valueB = typeof no === "number" ? { valueB: no } : {};
    return this.#elementwise({ op: "where", ...valueA, ...valueB }, ...nodes);
  }

  sum(axis: Axis): Node {
    return this.#reduce("sum", axis);
  }

  mean(axis: Axis): Node {
    return this.#reduce("mean", axis);
  }

  max(axis: Axis): Node {
    return this.#reduce("max", axis);
  }

  min(axis: Axis): Node {
    return this.#reduce("min", axis);
  }

  norm(axis: Axis): Node {
    return this.#reduce("norm", axis);
  }

  group(kind: Reduction): Node {
    const { heads, group } = this.counts;
    if (this.shape.length !== 2 || this.shape[0] !== heads * group) {
      throw new ShapeError(`group: needs [${heads * group} query heads, rows], not ${show(this.shape)}`);
    }
    return group === 1 ? this : this.#node([heads, this.shape[1]!], { op: "group", kind });
  }

  ungroup(): Node {
    const { heads, group } = this.counts;
    if (this.shape[0] !== heads)
      throw new ShapeError(`ungroup: needs [${heads} KV heads, rows, ...], not ${show(this.shape)}`);
    return group === 1 ? this : this.#node(this.shape.with(0, heads * group), { op: "ungroup" });
  }

  acrossHeads(kind: Reduction): Node {
    const { heads, kvHeads, group } = this.counts;
    if (this.shape.length !== 2 || (this.shape[0] !== heads && this.shape[0] !== heads * group)) {
      throw new ShapeError(
        `acrossHeads: needs [${heads} heads, rows] or [${heads * group} query heads, rows], not ${show(this.shape)}`,
      );
    }
    const combined = this.#node(this.shape.with(0, heads / kvHeads), { op: "heads", kind });
    return combined.#node(this.shape.with(0, heads), { op: "spread" });
  }

  avgPool(kernel: number): Node {
    return this.#pool("avg", kernel);
  }

  maxPool(kernel: number): Node {
    return this.#pool("max", kernel);
  }

  hash(seed: number): Node {
    if (!Number.isSafeInteger(seed) || seed < 0 || seed >= 2 ** 31) {
      throw new ShapeError(`hash: seed is ${seed}; it must be a whole number from 0 to 2147483647`);
    }
    if (this.shape.length !== 2) throw new ShapeError(`hash: needs [heads, rows], not ${show(this.shape)}`);
    return this.#node(this.shape, { op: "hash", seed });
  }

  /** A node of this one's axes. */
  #node(shape: readonly number[], what: NodeOp): Node {
    return new Node(shape, this.axes, what, [this], this.counts);
  }

  #unary(kind: Unary): Node {
    return this.#node(this.shape, { op: "unary", kind });
  }

  #binary(kind: Binary, other: Tensor | number): Node {
    if (typeof other === "number") return this.#node(this.shape, { op: "binary", kind, value: other });
    return this.#elementwise({ op: "binary", kind }, asNode(other));
  }

  /** Broadcasts: an axis that a tensor lacks counts as 1. */
  #elementwise(what: NodeOp, ...others: Node[]): Node {
    const { shape, axes } = others.reduce<Pick<Node, "shape" | "axes">>((all, other) => {
      const [longer, shorter] = all.axes.length >= other.axes.length ? [all, other] : [other, all];
      const fits = longer.axes.every((name, axis) => {
        const [n, m] = [longer.shape[axis]!, shorter.shape[axis] ?? 1];
        return (n === m || n === 1 || m === 1) && name === (shorter.axes[axis] ?? name);
      });
      if (fits) return { shape: longer.shape.map((n, i) => Math.max(n, shorter.shape[i] ?? 1)), axes: longer.axes };
      throw new ShapeError(
        `shapes ${show(all.shape)} and ${show(other.shape)} do not broadcast; axes must be equal or 1`,
      );
    }, this);
    return new Node(shape, axes, what, [this, ...others], this.counts);
  }

  #reduce(kind: Reduction | "norm", name: Axis): Node {
    const axis = this.axes.indexOf(name);
    if (axis < 1) {
      const names = this.axes.slice(1).join(" or ");
      throw new ShapeError(
        `${kind}(${JSON.stringify(name)}): ${show(this.shape)} has no such axis to reduce; it has ${names}`,
      );
    }
    const what = { op: "reduce", kind, axis: axis as 1 | 2 } as const;
    if (name === "rows") return this.#node(this.shape.with(axis, 1), what);
    const axes = this.axes.filter((other) => other !== name) as unknown as Axes;
    return new Node(this.shape.toSpliced(axis, 1), axes, what, [this], this.counts);
  }

  #pool(kind: "avg" | "max", kernel: number): Node {
    if (!Number.isSafeInteger(kernel) || kernel < 1 || kernel % 2 === 0) {
      throw new ShapeError(`${kind}Pool: kernel is ${kernel}; it must be an odd whole number of at least 1`);
    }
    return kernel === 1 ? this : this.#node(this.shape, { op: "pool", kind, kernel });
  }
}

/** The expression behind a tensor. Throws a {@link ShapeError} if `tensor` comes from elsewhere. */
export function asNode(tensor: Tensor): Node {
  if (tensor instanceof Node) return tensor;
  throw new ShapeError(`expected a tensor made from the policy's view, got ${typeof tensor}`);
}

/**
 * A tensor [heads, rows] or [heads, rows, size] whose numbers are bound when its expression is compiled. `axes` names
 * other axes.
 */
export function input(name: string, shape: readonly number[], counts: HeadCounts, axes = axesOf[shape.length]): Node {
  if (!axes) throw new ShapeError(`input "${name}": ${show(shape)} is neither [heads, rows] nor [heads, rows, size]`);
  return new Node(shape, axes, { op: "input", name }, [], counts);
}

/**
 * [query heads, rows]: sqrt(x . G x) for every row of x, [KV heads, rows, size] or [query heads, rows, size]. `gram`:
 * an input of shape [query heads of one sequence, size, size]. Throws a {@link ShapeError} if x does not fit.
 */
export function through(x: Node, gram: Node): Node {
  const { heads, group } = x.counts;
  const [first, rows, size] = x.shape;
  if (x.shape.length !== 3 || (first !== heads && first !== heads * group) || size !== gram.shape[2]) {
    throw new ShapeError(
      `through: needs [${heads} KV heads or ${heads * group} query heads, rows, ${gram.shape[2]}], not ${show(x.shape)}`,
    );
  }
  return new Node([heads * group, rows!], ["heads", "rows"], { op: "through" }, [x, gram], x.counts);
}

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

/** Whether the expression combines neighbours in the text (a pool), so that rows must be in text order. */
export const needsTextOrder = (outputs: readonly Node[]): boolean =>
  topological(outputs).some(({ what }) => what.op === "pool");
