import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import type { Table, TableRow } from "../table.js";
import { showBudget, showBytes, showPolicy } from "./describe.js";
import { hasDTypes, isPercent } from "./markdown.js";

// Plots as SVG texts, drawn when the report is written.

const newDocument = () => parseHTML("<!doctype html><html><body></body></html>").document;

/** Scores with their intervals against bytes, a line for each policy. */
export function scorePlot(table: Table): string {
  const factor = isPercent(table) ? 100 : 1;
  const dtypes = hasDTypes(table);
  const points = table.rows.map((row: TableRow) => ({
    policy: showPolicy(row, dtypes),
    bytes: row.bytes,
    score: factor * row.score.estimate,
    low: factor * row.score.low,
    high: factor * row.score.high,
    title: `${showPolicy(row, dtypes)}, ${showBudget(row.budget)}: ${showBytes(row.bytes)}`,
  }));
  const shared = { x: "bytes", stroke: "policy" } as const;
  const svg = Plot.plot({
    document: newDocument(),
    width: 720,
    height: 380,
    marginLeft: 48,
    marginRight: 130,
    x: {
      type: "log",
      inset: 8,
      label: "bytes of the cache",
      tickFormat: (bytes: number) => showBytes(bytes),
      ticks: 5,
    },
    y: { label: factor === 100 ? "score, %" : "score", grid: true, nice: true },
    marks: [
      Plot.ruleX(points, { ...shared, y1: "low", y2: "high", strokeWidth: 1.5, strokeOpacity: 0.6 }),
      Plot.line(points, { ...shared, y: "score", z: "policy", strokeOpacity: 0.5 }),
      Plot.dot(points, { ...shared, y: "score", fill: "policy", r: 3.5, title: "title" }),
      Plot.text(
        points,
        Plot.selectLast({
          x: "bytes",
          y: "score",
          z: "policy",
          text: "policy",
          fill: "policy",
          dx: 8,
          textAnchor: "start",
        }),
      ),
    ],
  });
  return svg.outerHTML;
}

/** Mean rows that each layer keeps, a line for each row of a table. */
export function layerPlot(table: Table, rowsPerLayer: readonly (readonly number[])[]): string {
  const dtypes = hasDTypes(table);
  const points = table.rows.flatMap((row, index) =>
    rowsPerLayer[index]!.map((rows, layer) => ({
      layer,
      rows,
      line: `${showPolicy(row, dtypes)}, ${showBudget(row.budget)}`,
    })),
  );
  const svg = Plot.plot({
    document: newDocument(),
    width: 720,
    height: 300,
    marginLeft: 56,
    marginRight: 170,
    x: { label: "layer", interval: 1 },
    y: { label: "rows of a KV head", grid: true, zero: true },
    marks: [
      Plot.line(points, { x: "layer", y: "rows", stroke: "line", curve: "step" }),
      Plot.text(
        points,
        Plot.selectLast({ x: "layer", y: "rows", z: "line", text: "line", fill: "line", dx: 8, textAnchor: "start" }),
      ),
    ],
  });
  return svg.outerHTML;
}

/** One cell of a heat map. */
export interface HeatCell {
  /** Tokens of the prompt. */
  readonly tokens: number;
  /** Where the needle is, from 0 to 1. */
  readonly depth: number;
  /** Mean score, from 0 to 1. */
  readonly score: number;
  readonly items: number;
}

/** Scores by length and depth of the needle. */
export function heatMap(cells: readonly HeatCell[]): string {
  const svg = Plot.plot({
    document: newDocument(),
    width: 480,
    height: 260,
    marginLeft: 56,
    padding: 0.04,
    x: { type: "band", label: "tokens" },
    y: { type: "band", label: "depth, %", reverse: true },
    color: { type: "linear", domain: [0, 1], range: ["#b2182b", "#f7f7f7", "#2166ac"], interpolate: "rgb" },
    marks: [
      Plot.cell(cells, { x: "tokens", y: ({ depth }: HeatCell) => Math.round(100 * depth), fill: "score" }),
      Plot.text(cells, {
        x: "tokens",
        y: ({ depth }: HeatCell) => Math.round(100 * depth),
        text: ({ score }: HeatCell) => Math.round(100 * score).toString(),
        fill: "black",
      }),
    ],
  });
  return svg.outerHTML;
}
