import { type LayerView, type Policy, PolicyError, ranking } from "@ziggurat/policy";
import type { Backend, Buffer, RowDType, Slice, Tensor } from "@ziggurat/tensor";
import {
  type Allocator,
  asNode,
  compile,
  input,
  inputsOf,
  type Node,
  needsTextOrder,
} from "@ziggurat/tensor/expression";
import type { CacheShape, RopeTable } from "./shape.js";

/** What a policy wants done with one layer's rows, as expressions. */
export interface Wish {
  /** The scorer's columns after this step; empty where it does not observe. */
  readonly columns: readonly Node[];
  /** What decides who stays; there where the layer is compressed in this step. */
  readonly ranking: Node | undefined;
  /** Names of the inputs that are read: "keys", "values", "positions", "newest", "mass", "column 0", ... */
  readonly uses: ReadonlySet<string>;
  /** Whether rows must lie in the order of the text. */
  readonly ordered: boolean;
}

function tensorOf(tensor: Tensor, what: string): Node {
  try {
    return asNode(tensor);
  } catch {
    throw new PolicyError(
      `${what} is ${tensor === null ? "null" : typeof tensor}; it must be a tensor made from the view`,
    );
  }
}

/** Asks the policy, with tensors that have no values yet. */
export function wishOf(
  policy: Policy,
  shape: CacheShape,
  layer: number,
  sequences: number,
  capacity: number,
  fires: boolean,
): Wish {
  const { kvHeads, queryHeads, headSize, layers } = shape;
  const heads = sequences * kvHeads;
  const counts = { heads, kvHeads, group: queryHeads / kvHeads };
  const leaf = (name: string, ...dims: number[]) => input(name, dims, counts);
  const positions = leaf("positions", heads, capacity);
  const view: LayerView = {
    layer,
    layerCount: layers.length,
    kvHeads,
    queryHeads,
    headSize,
    keys: leaf("keys", heads, capacity, headSize),
    values: leaf("values", heads, capacity, headSize),
    positions,
    age: leaf("newest", heads, 1).sub(positions),
    mass: leaf("mass", sequences * queryHeads, capacity),
    columns: Array.from({ length: policy.score.columns ?? 0 }, (_, index) => leaf(`column ${index}`, heads, capacity)),
  };
  const check = (tensor: Tensor, what: string): Node => {
    const node = tensorOf(tensor, `${policy.name}: layer ${layer}: ${what}`);
    if (node.shape.length !== 2 || node.shape[0] !== heads || node.shape[1] !== capacity) {
      throw new PolicyError(
        `${policy.name}: layer ${layer}: ${what} has shape [${node.shape.join(", ")}]; it must be [heads, rows] = [${heads}, ${capacity}]`,
      );
    }
    return node;
  };
  const observed = policy.score.observe?.(view);
  if (observed && observed.length !== view.columns.length) {
    throw new PolicyError(
      `${policy.name}: observe gave ${observed.length} columns; the scorer declares ${view.columns.length}`,
    );
  }
  const columns = (observed ?? []).map((column, index) => check(column, `column ${index}`));
  let ranked: Node | undefined;
  if (fires) {
    const now = observed ? { ...view, columns } : view;
    const score = check(policy.score.score(now), "the score");
    const mask = check(policy.protect.mask(now), "the mask of protected rows");
    ranked = asNode(ranking(score, mask));
  }
  const outputs = ranked ? [...columns, ranked] : columns;
  return { columns, ranking: ranked, uses: inputsOf(outputs), ordered: needsTextOrder(outputs) };
}

/** Rows of one layer, of all heads that one policy decides about. */
export interface RowsPlace {
  readonly keys: Slice;
  readonly values: Slice;
  /** A plane of cells, [arenaRows]. */
  plane(index: number): Slice;
  readonly arenaRows: number;
  readonly offset: Slice;
  readonly length: Slice;
  /** A bound on every length. */
  readonly capacity: number;
  readonly dtype: RowDType;
  /** There where keys lie unrotated; ranks are plane 1. */
  readonly unrotated: RopeTable | undefined;
  readonly firstColumn: number;
}

export interface Observation {
  /** Enqueues the scorer's work: columns are updated in place; the ranking, where wished for, is ready afterwards. */
  run(): void;
  /** f32 [heads, capacity] */
  readonly ranking: Slice | undefined;
  free(): void;
}

export interface ObserveOptions {
  readonly backend: Backend;
  readonly allocator: Allocator;
  readonly wish: Wish;
  readonly rows: RowsPlace;
  readonly sequences: number;
  readonly kvHeads: number;
  readonly headSize: number;
  readonly ended: Slice;
  /** f32 [heads]: position of the newest token. */
  readonly newest: Slice;
  /** f32 [query heads, capacity]; there where the wish uses "mass". */
  readonly mass: Slice | undefined;
}

/** Makes a wish ready to run on these rows. */
export async function observe(options: ObserveOptions): Promise<Observation> {
  const { backend, allocator, wish, rows, sequences, kvHeads, headSize, ended, newest, mass } = options;
  const heads = sequences * kvHeads;
  const { capacity, arenaRows, offset, length } = rows;
  const loaded: Buffer[] = [];
  const steps: (() => void)[] = [];
  const inputs: Record<string, Slice> = { newest, ...(mass ? { mass } : {}) };

  const load = async (name: string, source: Slice, dtype: RowDType | "i32", width: number, rotate?: RopeTable) => {
    if (!wish.uses.has(name)) return;
    const buffer = allocator.allocate(4 * heads * capacity * width);
    loaded.push(buffer);
    const out = (inputs[name] = { buffer, offset: 0 });
    const turned = rotate ? { rotate: true, rotary: rotate.rotary, tableRows: rotate.rows } : {};
    const kernel = await backend.prepare("load", { heads, capacity, width, arenaRows, source: dtype, ...turned });
    const extra = rotate ? { ranks: rows.plane(1), table: rotate.slice } : {};
    steps.push(() => backend.dispatch(kernel, { source, offset, length, out, ...extra }));
  };
  await load("positions", rows.plane(0), "i32", 1);
  await load("keys", rows.keys, rows.dtype, headSize, rows.unrotated);
  await load("values", rows.values, rows.dtype, headSize);
  const columnPlanes = [...wish.uses].filter((name) => name.startsWith("column ")).map((name) => Number(name.slice(7)));
  for (const index of columnPlanes) await load(`column ${index}`, rows.plane(rows.firstColumn + index), "f32", 1);

  const plan = await compile(
    backend,
    wish.ranking ? [...wish.columns, wish.ranking] : wish.columns,
    { inputs, length },
    allocator,
  );
  steps.push(() => plan.run());

  const store =
    wish.columns.length > 0 ? await backend.prepare("store", { sequences, kvHeads, capacity, arenaRows }) : undefined;
  wish.columns.forEach((column, index) => {
    if (column.what.op === "input" && column.what.name === `column ${index}`) return;
    const target = rows.plane(rows.firstColumn + index);
    steps.push(() => backend.dispatch(store!, { x: plan.outputs[index]!, offset, length, ended, target }));
  });
  return {
    run: () => steps.forEach((step) => step()),
    ranking: wish.ranking ? plan.outputs.at(-1) : undefined,
    free: () => {
      plan.free();
      loaded.splice(0).forEach((buffer) => allocator.free(buffer));
    },
  };
}
