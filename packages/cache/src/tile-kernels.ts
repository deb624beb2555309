import type { Kernel } from "@ziggurat/tensor";
import type { Cache } from "./cache.js";
import type { Scratch } from "./scratch.js";
import type { RopeOf } from "./shape.js";

/** The kernels that a prefill dispatches for each tile of a given number of tokens. */
export interface TileKernels {
  readonly append: Kernel<"append">;
  /** Appends unrotated keys, for slot positions. */
  readonly appendSlotKeys: Kernel<"append"> | undefined;
  /** Appends the cells of every cache but the first. */
  readonly appendCells: readonly Kernel<"append">[];
  /** By layer. */
  readonly attention: readonly Kernel<"attention">[];
  readonly advance: Kernel<"advance">;
  /** By layer; undefined if the layer does not rotate. */
  readonly rope: readonly (Kernel<"rope"> | undefined)[];
}

/** Prepares the kernels for tiles of `tokens` tokens that several caches share. */
export async function tileKernels(
  caches: readonly [Cache, ...Cache[]],
  scratch: Scratch,
  tokens: number,
  rope: RopeOf,
): Promise<TileKernels> {
  const { backend, shape, dtype: kv } = caches[0];
  const { queryHeads, kvHeads, headSize, scale, softcap, layers } = shape;
  const sizes = { tokens, queryHeads, kvHeads, headSize, arenaRows: scratch.rows };
  const append = ({ planes, ranks }: Cache, parts: { keys?: boolean; values?: boolean; cells?: boolean }) =>
    backend.prepare("append", { ...sizes, sequences: 1, planes, kv, ranks, ...parts });
  return {
    append: await append(caches[0], { keys: true, values: true, cells: true }),
    appendSlotKeys: scratch.slotKeys ? await append(caches[0], { keys: true }) : undefined,
    appendCells: await Promise.all(caches.slice(1).map((cache) => append(cache, { cells: true }))),
    attention: await Promise.all(
      layers.map((layer) =>
        backend.prepare("attention", {
          ...{ ...sizes, kv, scale, softcap },
          window: layer.kind === "sliding" ? layer.window : 0,
        }),
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
