import { type Budget, type BudgetInput, type OptionsOf, oneOf, options, real, whole } from "@ziggurat/policy";

/** The options of {@link pyramid}, declared. */
export const pyramidOptions = options("pyramid", {
  /**
   * How steep the budget falls: the top layer keeps 1 / beta of what a layer keeps on average beside its protected
   * rows. 1 is flat. Default 20, as published.
   */
  beta: real({ min: 1, default: 20, doc: "how steep the budget falls; 1 is flat" }),
  /**
   * How budgets become whole numbers: with "exact" (default) the layers together keep layers x keep rows; "released"
   * gives the numbers of the authors' code, which keep a few per cent more.
   */
  rounding: oneOf(["exact", "released"], { default: "exact", doc: "how budgets become whole numbers" }),
});

export type PyramidOptions = OptionsOf<typeof pyramidOptions>;

const keepOption = whole({ min: 1, doc: "rows that a layer keeps on average" });

interface Ramp {
  /** At least 2. */
  readonly layers: number;
  /** Rows of a layer on average, beside the protected ones. */
  readonly free: number;
  readonly beta: number;
}

/**
 * The rows of each layer from the lowest up, beside the protected ones: a straight line from `most` to `least` with
 * most + least = 2 x free, so that its mean is free. `most` is at most the number of rows in the text; rows beyond that
 * go to the upper layers. Fractions are rounded by largest remainder, lower layer first, which keeps the line falling.
 * All numbers are whole: the share of layer l is a fraction over (layers - 1).
 */
function exact({ layers, free, beta }: Ramp, { seen, protectedRows }: BudgetInput): number[] {
  // A layer without protected rows still keeps one.
  const wanted = Math.max(Math.floor(free / beta), protectedRows > 0 ? 0 : 1);
  const most = Math.min(2 * free - wanted, seen - protectedRows);
  const fall = 2 * (most - free);
  const shares = Array.from({ length: layers }, (_, layer) => most * (layers - 1) - layer * fall);
  const rows = shares.map((share) => Math.floor(share / (layers - 1)));
  const left = layers * free - rows.reduce((a, b) => a + b, 0);
  const byRemainder = shares
    .map((share, layer) => ({ layer, rest: share % (layers - 1) }))
    .sort((a, b) => b.rest - a.rest || a.layer - b.layer);
  for (const { layer } of byRemainder.slice(0, left)) rows[layer]! += 1;
  return rows;
}

/**
 * The rows of each layer in the authors' code: KVCache-Factory at c97f9d7, `pyramidkv_utils.py`,
 * `PyramidKVCluster.update_kv`. A text shorter than 2 x free has the same budget in every layer. The step is rounded
 * down, so the layers together keep too much.
 */
function released({ layers, free, beta }: Ramp, { seen, protectedRows }: BudgetInput): number[] {
  if (seen < 2 * free) return Array(layers).fill(free);
  let least = Math.floor(free / beta);
  let most = 2 * free - least;
  if (most >= seen - protectedRows) {
    most = seen - protectedRows;
    least = 2 * free - most;
  }
  const step = Math.floor((most - least) / (layers - 1));
  // Without protected rows their code would leave the top layer nothing to attend to.
  return Array.from({ length: layers }, (_, layer) => Math.max(protectedRows > 0 ? 0 : 1, most - layer * step));
}

/**
 * `keep` rows per layer on average, protected ones included: most in the lowest layer, falling in a straight line like
 * the steps of a ziggurat. Every layer keeps at least the protected rows and at most the rows that were read. A single
 * layer, a text of up to `keep` tokens, and a `keep` that leaves nothing beside the protected rows have no pyramid:
 * `keep` each.
 *
 * Cai et al., 2024, https://arxiv.org/abs/2406.02069, section 3.2. Throws a PolicyError for options out of range.
 */
export function pyramid(keep: number, options: PyramidOptions = {}): Budget {
  const { beta, rounding } = pyramidOptions.read(options);
  keepOption.check("pyramid", "keep", keep);
  const ramp = rounding === "exact" ? exact : released;
  return (input) => {
    const layers = input.layers.length;
    const free = keep - input.protectedRows;
    if (layers < 2 || input.seen <= keep || free <= 0) return input.layers.map(() => keep);
    return ramp({ layers, free, beta }, input).map((rows) => input.protectedRows + rows);
  };
}
