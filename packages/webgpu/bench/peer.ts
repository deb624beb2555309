import { readFileSync } from "node:fs";

/** What node-llama-cpp's Vulkan build was seen to do, tokens a second after `depth` tokens of a model of random weights. */
interface Line {
  readonly file: string;
  readonly depth: number;
  readonly prefill: number;
  readonly decode: number;
}

/** The peer's speed with a shape and weights after so many tokens, from a file of one JSON object a line; the file's names hold both. Undefined where it has none. */
export function peerOf(path: string | undefined, shape: string, weights: string, depth: number): Line | undefined {
  if (!path) return undefined;
  const lines = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line) as Line).find((line) => line.depth === depth && line.file.includes(`${shape}-${weights}`));
}
