import { h2o } from "@ziggurat/h2o";
import { full, type Policy } from "@ziggurat/policy";
import { pyramidkv } from "@ziggurat/pyramid";
import { snapkv } from "@ziggurat/snapkv";
import { streaming } from "@ziggurat/streaming";

export interface PolicyChoice {
  readonly name: string;
  readonly about: string;
  /** Whether it has a budget of rows. */
  readonly keeps: boolean;
  make(keep: number): Policy;
}

/** What the page offers; a new policy is a line here. */
export const policies: readonly PolicyChoice[] = [
  {
    name: "pyramidkv",
    about: "PyramidKV: what the question looks at, more rows in lower layers",
    keeps: true,
    make: (keep) => pyramidkv({ keep }),
  },
  { name: "snapkv", about: "SnapKV: what the question looks at", keeps: true, make: (keep) => snapkv({ keep }) },
  {
    name: "h2o",
    about: "H2O: what all tokens looked at most, and the newest",
    keeps: true,
    make: (keep) => h2o({ keep }),
  },
  {
    name: "streaming",
    about: "StreamingLLM: the first tokens and the newest",
    keeps: true,
    make: (keep) => streaming({ keep }),
  },
  { name: "full", about: "Full cache: every row stays", keeps: false, make: () => full() },
];

/** Rows that are meant by `12%` of a prompt, or by `256`. Throws where it is neither, in words for the page. */
export function rowsOf(text: string, promptTokens: number): number {
  const found = /^\s*(\d+(?:\.\d+)?)\s*(%?)\s*$/.exec(text);
  const value = Number(found?.[1]);
  if (found?.[2] === "%" && value > 0 && value <= 100) return Math.max(1, Math.round((value / 100) * promptTokens));
  if (found && found[2] === "" && Number.isSafeInteger(value) && value >= 1) return value;
  throw new RangeError(
    `“${text}” is no budget. Write a number of rows such as 256, or a share of the prompt such as 12%.`,
  );
}
