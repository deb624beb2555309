import { readFileSync } from "node:fs";

/** Tokens a second of another program after `depth` tokens, with a model of random weights. */
interface Line {
  readonly file: string;
  readonly depth: number;
  readonly prefill: number;
  readonly decode: number;
}

/**
 * The best speeds of the other program for a shape, weights and depth, from a file of JSON lines. The names of its
 * model files contain SHAPE-WEIGHTS.
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
