import { readFileSync } from "node:fs";

/**
 * What node-llama-cpp's Vulkan build was seen to do, tokens a second after `depth` tokens of a model of random weights.
 */
interface Line {
  readonly file: string;
  readonly depth: number;
  readonly prefill: number;
  readonly decode: number;
}

/**
 * The peer's best speeds with a shape and weights after so many tokens, from a file of one JSON object a line, whose
 * models' files are named for both.
 */
export function peerOf(
  path: string | undefined,
  shape: string,
  weights: string,
  depth: number,
): Pick<Line, "prefill" | "decode"> | undefined {
  if (!path) return undefined;
  const lines = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.startsWith("{"));
  const found = lines
    .map((line) => JSON.parse(line) as Line)
    .filter((line) => line.depth === depth && line.file.includes(`${shape}-${weights}`));
  if (found.length === 0) return undefined;
  return {
    prefill: Math.max(...found.map(({ prefill }) => prefill)),
    decode: Math.max(...found.map(({ decode }) => decode)),
  };
}
