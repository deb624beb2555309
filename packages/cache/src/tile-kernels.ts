import type { Kernel } from "@ziggurat/tensor";
import type { Cache } from "./cache.js";
import type { Scratch } from "./scratch.js";

/** What a prefill dispatches for each tile of so many tokens. */
export interface TileKernels {
  readonly append: Kernel<"append">;
  /** Keys as they are, for slot positions. */
  readonly appendPlain: Kernel<"append"> | undefined;
  /** Cells of every cache but the first. */
  readonly appendCells: readonly Kernel<"append">[];
  /** By layer. */
  readonly attention: readonly Kernel<"attention">[];
  readonly advance: Kernel<"advance">;
  /** By layer; undefined where nothing is rotated. */
  readonly rope: readonly (Kernel<"rope"> | undefined)[];
}

/** The kernels for tiles of `tokens` tokens that caches share. */
export async function tileKernels(
  caches: readonly [Cache, ...Cache[]],
  scratch: Scratch,
  tokens: number,
): Promise<TileKernels> {
  const { backend, shape, dtype: kv, rope } = caches[0];
  const { queryHeads, kvHeads, headSize, scale, softcap, layers } = shape;
  const sizes = { tokens, queryHeads, kvHeads, headSize, arenaRows: scratch.rows };
  const append = ({ planes, ranks }: Cache, parts: { keys?: boolean; values?: boolean; cells?: boolean }) =>
    backend.prepare("append", { ...sizes, sequences: 1, planes, kv, ranks, ...parts });
  return {
    append: await append(caches[0], { keys: true, values: true, cells: true }),
    appendPlain: scratch.plainKeys ? await append(caches[0], { keys: true }) : undefined,
    appendCells: await Promise.all(caches.slice(1).map((cache) => append(cache, { cells: true }))),
    attention: await Promise.all(
      layers.map(({ kind, window = 0 }) =>
        backend.prepare("attention", { ...sizes, kv, scale, softcap, window: kind === "sliding" ? window : 0 }),
      ),
    ),
    advance: await backend.prepare("advance", { repeat: 1, sequences: 1, width: kvHeads, by: tokens }),
    rope: await Promise.all(
      layers.map((_, layer) => {
        const table = rope(layer);
        const heads = { sequences: 1, tokens, queryHeads, kvHeads, headSize };
        return table && backend.prepare("rope", { ...heads, rotary: table.rotary, tableRows: table.rows, keys: true });
      }),
    ),
  };
}
