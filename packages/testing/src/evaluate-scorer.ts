import { columnInput, viewOf } from "@ziggurat/cache";
import type { LayerView } from "@ziggurat/policy";
import { reference, type Slice, type Tensor } from "@ziggurat/tensor";
import { asNode, compile, inputsOf } from "@ziggurat/tensor/expression";
import { gramOf } from "./gram.js";

/** One layer's rows as plain numbers; heads may differ in length. What is left out is 0. */
export interface ScorerRows {
  /** Default 0. */
  readonly layer?: number;
  /** Default: one for each KV head. */
  readonly queryHeads?: number;
  /** Default 1. */
  readonly headSize?: number;
  /** [KV head][row] */
  readonly positions: readonly (readonly number[])[];
  /** Position of the newest token. Default: the greatest of `positions`. */
  readonly newest?: number;
  /** [query head][row] */
  readonly mass?: readonly (readonly number[])[];
  /** [query head][row][query], oldest query first. */
  readonly observed?: readonly (readonly (readonly number[])[])[];
  /** By name, [KV head][row] each. */
  readonly columns?: Readonly<Record<string, readonly (readonly number[])[]>>;
  /** [KV head][row x headSize] */
  readonly keys?: readonly (readonly number[])[];
  /** [KV head][row x headSize] */
  readonly values?: readonly (readonly number[])[];
  /**
   * The output projection for `through`, row-major [query heads, headSize, hidden]. Default: the identity of each head.
   */
  readonly output?: Float32Array;
}

/**
 * Evaluates what a part of a policy says about rows that are given as plain numbers, on the float64 reference. `build`
 * is called with the view that the cache would give; returns the numbers of each tensor that it returns,
 * [tensor][KV head][row]. Rejects with a `ShapeError` if a tensor is not [heads, rows].
 */
export async function evaluateScorer<C extends string = never>(
  build: (view: LayerView<C>) => readonly Tensor[],
  given: ScorerRows,
): Promise<number[][][]> {
  const { positions, layer = 0, headSize = 1 } = given;
  const kvHeads = positions.length;
  const { queryHeads = kvHeads } = given;
  const lengths = positions.map((head) => head.length);
  // Rows beyond a head's length must not matter: they hold large numbers.
  const rows = Math.max(...lengths) + 2;
  const zeros = (heads: number, width = 1) =>
    Array.from({ length: heads }, (_, head) =>
      new Array<number>(lengths[Math.floor((head * kvHeads) / heads)]! * width).fill(0),
    );
  const { observed = zeros(queryHeads).map((head) => head.map((x) => [x])) } = given;
  const queries = observed[0]?.[0]?.length ?? 1;
  const facts = { layer, layerCount: layer + 1, kvHeads, queryHeads, headSize, sequences: 1, rows, queries };
  const padded = (heads: readonly (readonly number[])[], width = 1) =>
    heads.flatMap((head) => [...head, ...Array.from({ length: rows * width - head.length }, (_, at) => 1e6 + at)]);
  const { newest = Math.max(...positions.flat()), columns = {} } = given;
  const numbers: Record<string, ArrayLike<number>> = {
    positions: padded(positions),
    newest: positions.map(() => newest),
    mass: padded(given.mass ?? zeros(queryHeads)),
    observed: padded(
      observed.map((head) => head.flat()),
      queries,
    ),
    queryAge: Array.from({ length: queries }, (_, query) => queries - 1 - query),
    keys: padded(given.keys ?? zeros(kvHeads, headSize), headSize),
    values: padded(given.values ?? zeros(kvHeads, headSize), headSize),
    gram: gramOf(given.output ?? identities(queryHeads, headSize), queryHeads, headSize),
    ...Object.fromEntries(Object.entries(columns).map(([name, column]) => [columnInput(name), padded(column)])),
  };
  const outputs = build(viewOf(facts, Object.keys(columns) as C[]));
  return (await evaluateTensors(outputs, numbers, lengths)).map((heads) =>
    heads.map((head, index) => head.slice(0, lengths[index])),
  );
}

const identities = (heads: number, size: number): Float32Array =>
  Float32Array.from({ length: heads * size * size }, (_, at) => ((at % (size * size)) % (size + 1) === 0 ? 1 : 0));

/**
 * Evaluates tensors [KV heads, rows] of a view on the reference. `numbers`: those of each input, row-major; `lengths`:
 * rows of each KV head. Returns [tensor][KV head][row], rows past a head's length included.
 */
export async function evaluateTensors(
  outputs: readonly Tensor[],
  numbers: Readonly<Record<string, ArrayLike<number>>>,
  lengths: readonly number[],
): Promise<number[][][]> {
  const backend = reference();
  const bind = (data: Float32Array | Int32Array): Slice => {
    const slice = { buffer: backend.allocate(data.byteLength, "testing"), offset: 0 };
    backend.write(slice, data);
    return slice;
  };
  try {
    const nodes = outputs.map(asNode);
    const used = [...inputsOf(nodes)];
    const inputs = Object.fromEntries(used.map((name) => [name, bind(Float32Array.from(numbers[name]!))]));
    const allocator = { allocate: (bytes: number) => backend.allocate(bytes, "testing"), free: backend.free };
    const compiled = await compile(backend, nodes, { inputs, length: bind(Int32Array.from(lengths)) }, allocator);
    compiled.run();
    return await Promise.all(
      compiled.outputs.map(async (slice, index) => {
        const [heads, rows] = nodes[index]!.shape as [number, number];
        const all = new Float32Array((await backend.read(slice, 4 * heads * rows)).buffer);
        return Array.from({ length: heads }, (_, head) => [...all.subarray(head * rows, (head + 1) * rows)]);
      }),
    );
  } finally {
    await backend.dispose();
  }
}
