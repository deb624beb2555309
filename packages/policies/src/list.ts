import { h2o, h2oOptions } from "@ziggurat/h2o";
import {
  type Declared,
  full,
  type Given,
  type Options,
  options,
  type Policy,
  random,
  randomOptions,
  sinksAndRecent,
  sinksAndRecentOptions,
} from "@ziggurat/policy";
import { pyramidkv, pyramidkvOptions } from "@ziggurat/pyramid";
import { restkv, restkvOptions } from "@ziggurat/restkv";
import { keydiff, keydiffOptions, knorm, knormOptions, tova, tovaOptions } from "@ziggurat/scorers";
import { snapkv, snapkvOptions } from "@ziggurat/snapkv";
import { streaming, streamingOptions } from "@ziggurat/streaming";

/** A policy and what a command line, a page or a table needs to offer it. */
export interface ListedPolicy {
  /** As it is named on a command line. */
  readonly name: string;
  /** As its paper names it; "Control" for what others are compared with. */
  readonly title: string;
  /** What it keeps, in one line. */
  readonly summary: string;
  /** The package that exports it. */
  readonly package: string;
  /** arXiv number of its paper; undefined for controls. */
  readonly paper?: string;
  readonly options: Options;
  /** Makes the policy. Throws a PolicyError for options that are unknown or out of range. */
  make(given: Readonly<Record<string, unknown>>): Policy;
}

type Facts = Pick<ListedPolicy, "title" | "summary" | "paper">;

const entry = <D extends Declared>(
  name: string,
  pack: string,
  declared: Options<D>,
  make: (given: Given<D>) => Policy,
  facts: Facts,
): ListedPolicy => ({
  name,
  package: `@ziggurat/${pack}`,
  ...facts,
  options: declared as unknown as Options,
  // The factory checks its options.
  make: make as ListedPolicy["make"],
});

const fullOptions = options("full", {});

/** Every policy of this repository: the published ones, then the controls. */
export const policies: readonly ListedPolicy[] = [
  {
    name: "full",
    package: "@ziggurat/policy",
    title: "Full cache",
    summary: "keeps every row",
    options: fullOptions,
    make(given) {
      fullOptions.read(given);
      return full();
    },
  },
  entry("streaming", "streaming", streamingOptions, streaming, {
    title: "StreamingLLM",
    summary: "the first tokens and a rolling window of the newest",
    paper: "2309.17453",
  }),
  entry("h2o", "h2o", h2oOptions, h2o, {
    title: "H2O",
    summary: "rows with the most attention so far, and the newest",
    paper: "2306.14048",
  }),
  entry("snapkv", "snapkv", snapkvOptions, snapkv, {
    title: "SnapKV",
    summary: "rows that the last queries of the prompt looked at",
    paper: "2404.14469",
  }),
  entry("pyramidkv", "pyramid", pyramidkvOptions, pyramidkv, {
    title: "PyramidKV",
    summary: "SnapKV with more rows in lower layers",
    paper: "2406.02069",
  }),
  entry("restkv", "restkv", restkvOptions, restkv, {
    title: "ReST-KV",
    summary: "rows whose loss would change the layer's output most",
    paper: "2605.08840",
  }),
  entry("tova", "scorers", tovaOptions, tova, {
    title: "TOVA",
    summary: "rows that the newest query attends to, the same in every head",
    paper: "2401.06104",
  }),
  entry("keydiff", "scorers", keydiffOptions, keydiff, {
    title: "KeyDiff",
    summary: "rows whose keys are least like the others",
    paper: "2504.15364",
  }),
  entry("knorm", "scorers", knormOptions, knorm, {
    title: "Knorm",
    summary: "rows with the shortest keys",
    paper: "2406.11430",
  }),
  entry("random", "policy", randomOptions, random, {
    title: "Control",
    summary: "rows drawn at random, and the newest",
  }),
  entry("sinks", "policy", sinksAndRecentOptions, sinksAndRecent, {
    title: "Control",
    summary: "the first tokens and the newest",
  }),
];
