import { basename } from "node:path";
import { median, megabytes, table } from "@ziggurat/bench-kit";
import type { Samples } from "./samples.js";

/** Tokens whose reading is timed. */
export const readTokens = 2048;
/** Tokens of the full cache: together with the tokens written after them at most the model's 8,192. */
export const fillTokens = 8064;
/** Rows a layer that a policy keeps of them: 12 %. */
export const keepRows = Math.ceil(0.12 * fillTokens);
/** Tokens in the cache of pages while they decode. */
export const pageTokens = 1700;

export interface Facts {
  readonly devices: ReadonlyMap<string, string>;
  readonly path: string;
  readonly threads: number;
  readonly packages: readonly string[];
}

/** Prints the rows: ours, the peer's, their ratio, and the ratio that is required. Speeds are tokens per second. */
export function printRows(samples: Samples, { devices, path, threads, packages }: Facts): void {
  const value = (name: string) => (samples.count(name) > 0 ? median(samples.of(name)) : Number.NaN);
  const show = (number: number, digits = 1) => (Number.isNaN(number) ? "-" : number.toFixed(digits));
  const relaxed = [...devices].some(([who, device]) => who === "ours in Node" && device.includes("relaxed"));
  const speeds: readonly (readonly [what: string, ours: string, peer: string, peerName: string, asked: number])[] = [
    [`prefill ${readTokens}, Node`, "ours.read", "llama.read", "node-llama-cpp", relaxed ? 0.5 : 0.35],
    [`prefill ${readTokens}, Chromium`, "ours.page.read", "wllama.page.read", "wllama", 5],
    [`prefill ${readTokens}, Chromium`, "ours.page.read", "llama.read", "node-llama-cpp", 0.5],
    [`decode at ${fillTokens}`, "ours.decode", "llama.decode", "node-llama-cpp, f16 K/V", 1.5],
    [`decode at ${pageTokens}, Chromium`, "ours.page.decode", "wllama.page.decode", "wllama, f16 K/V", 3],
    [`decode, 12 % of ${fillTokens}`, "ours.decode.kept", "llama.decode", "node-llama-cpp, full", 4],
    [`decode, 12 % of ${fillTokens}`, "ours.decode.kept", "ours.decode", "ours, full", 1.9],
  ];
  console.log(
    `${basename(path)}, ${threads} threads, medians; ours: bf16 K/V, the 12 % by snapkv with a window of 32. tokens/s`,
  );
  if (packages.length > 0) console.log(packages.join(", "));
  for (const [who, device] of devices) console.log(`${who}: ${device}`);
  const rows = speeds
    .filter(([, ours, peer]) => samples.count(ours) + samples.count(peer) > 0)
    .map(([what, ours, peer, name, asked]) => [
      what,
      show(value(ours)),
      name,
      show(value(peer)),
      `${show(value(ours) / value(peer), 2)} x`,
      `${asked} x`,
      String(Math.min(samples.count(ours), samples.count(peer))),
    ]);
  if (rows.length > 0) console.log(`\n${table([["", "ours", "peer", "theirs", "ratio", "asked", "rounds"], ...rows])}`);
  if (samples.count("load.first") === 0) return;

  const [read, first, peak, node] = [value("load.read"), value("load.first"), value("load.peak"), value("load.node")];
  const held = value("load.weights") + value("load.cache");
  console.log(`
first token of 8, fresh process: ${first.toFixed(3)} s; a plain read of the file ${read.toFixed(3)} s;
  asked ${(2 * read + 0.6).toFixed(3)} s (2 x read + 0.6 s)
peak memory, Node included: ${megabytes(peak)}; weights + cache ${megabytes(held)};
  over them ${megabytes(peak - held)}, asked 150 MB; a bare Node process takes ${megabytes(node)}
medians of ${samples.count("load.first")} rounds`);
}
