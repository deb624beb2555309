import type { LayerView } from "@ziggurat/policy";
import type { Backend, RowDType, Slice, Tensor } from "@ziggurat/tensor";
import { type Axes, asNode, input, type Node, through } from "@ziggurat/tensor/expression";
import type { Pool } from "./pool.js";
import type { RopeTable } from "./shape.js";

/** The plain numbers of a view. */
export interface ViewFacts extends Pick<LayerView, "layer" | "layerCount" | "kvHeads" | "queryHeads" | "headSize"> {
  /** Sequences that are seen together. */
  readonly sequences: number;
  /** Rows of axis 1: a bound on what any head holds. */
  readonly rows: number;
  /** Queries of `observed`: those that the policy watches one by one, and at least 1. */
  readonly queries: number;
}

/** One layer's rows of the heads that one policy decides about, as they are in device memory at one moment. */
export interface Moment {
  readonly backend: Backend;
  readonly pool: Pool;
  readonly facts: ViewFacts;
  readonly keys: Slice;
  readonly values: Slice;
  /** Returns a plane of cells, [arenaRows]. */
  plane(index: number): Slice;
  readonly arenaRows: number;
  readonly dtype: RowDType;
  /** i32 [heads]: where each head's rows start. */
  readonly offset: Slice;
  /** i32 [heads]: how many rows each head holds. */
  readonly length: Slice;
  /** i32 [sequences]: not 0 for sequences that have ended. */
  readonly ended: Slice;
  /** i32 [heads]: position of the newest token. */
  readonly newest: Slice;
  /** The plane of cells that holds the first column. */
  readonly firstColumn: number;
  /** Set if keys are stored unrotated, for slot positions: the table to rotate them with when they are loaded. */
  readonly slotRope: RopeTable | undefined;
  /** Attention that each row received from the watched queries, f32 [query heads, rows], if it was summed before. */
  readonly sums: Slice | undefined;
  /** Prepares a command that adds this step's attention to sums, f32 [query heads, rows]. Set if `sums` is not. */
  readonly watch?: (sums: Slice) => Promise<() => void>;
  /** Attention of each watched query, f32 [query heads, rows, queries], if it was observed before. */
  readonly observed: Slice | undefined;
  /** Prepares a command that writes the attention of this step's queries. Set if `observed` is not. */
  readonly observe?: (observed: Slice) => Promise<() => void>;
  /** Gives the Gram matrices of the layer's output projection, f32 [query heads of one sequence, size, size]. */
  readonly gram: () => Promise<Slice>;
  /** Counts this step's rows as held. Runs after `watch` and before anything else is read. */
  readonly arrive?: () => void;
}

/** A source's numbers, f32, and the commands that put them there. */
interface Ready {
  readonly slice: Slice;
  readonly commands: readonly (() => void)[];
}

/** A tensor that a view offers. It costs nothing unless an expression of the policy uses it. */
interface Source {
  /** Its axes. */
  shape(facts: ViewFacts): readonly number[];
  /** Prepares its numbers. Temporaries come from the moment's pool; `decide` frees them. */
  ready(moment: Moment, take: (words: number) => Slice): Promise<Ready>;
  /** Whether its commands must run before the rows of this step are counted as held. */
  readonly early?: true;
  /** Names of its axes if they are not [heads, rows] or [heads, rows, size]. */
  readonly axes?: Axes;
}

const headsOf = ({ sequences, kvHeads }: ViewFacts) => sequences * kvHeads;
const perRow = (facts: ViewFacts) => [headsOf(facts), facts.rows];
const perNumber = (facts: ViewFacts) => [headsOf(facts), facts.rows, facts.headSize];

/** Every tensor that a view offers, columns aside. A new one is an entry here and a field of {@link LayerView}. */
const sources = {
  keys: {
    shape: perNumber,
    ready: (moment, take) => load(moment, take, moment.keys, moment.dtype, moment.facts.headSize, moment.slotRope),
  },
  values: {
    shape: perNumber,
    ready: (moment, take) => load(moment, take, moment.values, moment.dtype, moment.facts.headSize),
  },
  positions: { shape: perRow, ready: (moment, take) => load(moment, take, moment.plane(0), "i32", 1) },
  newest: {
    shape: (facts) => [headsOf(facts), 1],
    async ready({ backend, facts, newest }, take) {
      const elements = headsOf(facts);
      const slice = take(elements);
      const kernel = await backend.prepare("unary", { elements, x: "i32", kind: "float" });
      return { slice, commands: [() => backend.dispatch(kernel, { x: newest, out: slice })] };
    },
  },
  mass: {
    shape: ({ sequences, queryHeads, rows }) => [sequences * queryHeads, rows],
    early: true,
    async ready({ backend, facts, sums, watch }, take) {
      if (sums) return { slice: sums, commands: [] };
      const words = facts.sequences * facts.queryHeads * facts.rows;
      const slice = take(words);
      const clear = await zeros(backend, slice, words);
      return { slice, commands: watch ? [clear, await watch(slice)] : [clear] };
    },
  },
  observed: {
    shape: ({ sequences, queryHeads, rows, queries }) => [sequences * queryHeads, rows, queries],
    axes: ["heads", "rows", "queries"],
    early: true,
    async ready({ backend, facts, observed, observe }, take) {
      if (observed) return { slice: observed, commands: [] };
      const words = facts.sequences * facts.queryHeads * facts.rows * facts.queries;
      const slice = take(words);
      const clear = await zeros(backend, slice, words);
      return { slice, commands: observe ? [clear, await observe(slice)] : [clear] };
    },
  },
  queryAge: {
    shape: ({ queries }) => [1, 1, queries],
    axes: ["heads", "rows", "queries"],
    async ready({ backend, facts: { queries } }, take) {
      const slice = take(queries);
      const commands = await Promise.all(
        Array.from({ length: queries }, async (_, query) => {
          const kernel = await backend.prepare("fill", { words: 1, dtype: "f32", value: queries - 1 - query });
          const out = { buffer: slice.buffer, offset: slice.offset + 4 * query };
          return () => backend.dispatch(kernel, { out });
        }),
      );
      return { slice, commands };
    },
  },
  gram: {
    shape: ({ queryHeads, headSize }) => [queryHeads, headSize, headSize],
    ready: async ({ gram }) => ({ slice: await gram(), commands: [] }),
  },
} satisfies Readonly<Record<string, Source>>;

const column = (plane: number): Source => ({
  shape: perRow,
  ready: (moment, take) => load(moment, take, moment.plane(plane), "f32", 1),
});

/** Name of the input that holds a column. */
export const columnInput = (name: string): string => `column ${name}`;

/** The source behind an input of an expression. */
export function sourceOf(name: string, columns: readonly string[], firstColumn: number): Source {
  const index = columns.findIndex((one) => columnInput(one) === name);
  return index >= 0 ? column(firstColumn + index) : sources[name as keyof typeof sources];
}

/** A view, and the tensors that its expressions start from. */
interface OwnView<C extends string> {
  readonly view: LayerView<C>;
  readonly leaves: ReadonlySet<Node>;
}

/**
 * A view of one layer: tensors without numbers yet, which become inputs of the policy's expressions under their own
 * names ("keys", "newest", `columnInput(name)`, ...).
 */
export const viewOf = <C extends string>(facts: ViewFacts, columns: readonly C[]): LayerView<C> =>
  makeView(facts, columns).view;

/** Makes a view. The only place that makes a `LayerView`; all of it is frozen, since policies are not trusted. */
export function makeView<C extends string>(facts: ViewFacts, columns: readonly C[]): OwnView<C> {
  const { sequences, rows: _rows, queries: _queries, ...plain } = facts;
  const { kvHeads, queryHeads } = facts;
  const counts = { heads: sequences * kvHeads, kvHeads, group: queryHeads / kvHeads };
  const leaves = new Set<Node>();
  const leaf = (name: string, { shape, axes }: Source): Node => {
    const node = input(name, Object.freeze(shape(facts)), Object.freeze({ ...counts }), axes);
    Object.freeze(node);
    leaves.add(node);
    return node;
  };
  const entries = Object.entries(sources).map(([name, source]) => [name, leaf(name, source)]);
  const { newest, gram, ...tensors } = Object.fromEntries(entries) as Record<keyof typeof sources, Node>;
  const named = columns.map((name) => [name, leaf(columnInput(name), column(0))]);
  const view = Object.freeze({
    ...plain,
    ...tensors,
    age: Object.freeze(newest.sub(tensors.positions)),
    through: Object.freeze((x: Tensor) => through(asNode(x), gram)),
    columns: Object.freeze(Object.fromEntries(named) as Record<C, Tensor>),
  });
  return { view, leaves };
}

/** Prepares a command that sets f32 numbers to 0. */
export async function zeros(backend: Backend, out: Slice, words: number): Promise<() => void> {
  const kernel = await backend.prepare("fill", { words, dtype: "f32", value: 0 });
  return () => backend.dispatch(kernel, { out });
}

/** Loads numbers of every row, `width` each, as f32 [heads, rows, width]; rotates them by rank if a table is given. */
async function load(
  { backend, facts, arenaRows, offset, length, plane }: Moment,
  take: (words: number) => Slice,
  source: Slice,
  dtype: RowDType | "i32",
  width: number,
  rope?: RopeTable,
): Promise<Ready> {
  const heads = headsOf(facts);
  const { rows: capacity } = facts;
  const out = take(heads * capacity * width);
  const rotation = rope ? { rotate: true, rotary: rope.rotary, tableRows: rope.rows } : {};
  const kernel = await backend.prepare("load", { heads, capacity, width, arenaRows, source: dtype, ...rotation });
  const extra = rope ? { ranks: plane(1), table: rope.slice } : {};
  return { slice: out, commands: [() => backend.dispatch(kernel, { source, offset, length, out, ...extra })] };
}
