import { RequestError, show } from "../error.js";

/** How the next token is chosen. Without options it is always the likeliest. */
export interface SamplingOptions {
  /**
   * 0 (default) takes the likeliest token; higher values draw less likely ones more often. 0, or from 1e-30 to 1e6.
   */
  readonly temperature?: number;
  /** Only the `topK` likeliest tokens; 0 (default) for all. */
  readonly topK?: number;
  /** Only the smallest set of likeliest tokens whose probabilities sum to `topP`; 1 (default) for all. */
  readonly topP?: number;
  /** Only tokens at least `minP` times as likely as the likeliest; 0 (default) for all. */
  readonly minP?: number;
  /**
   * Divides positive and multiplies negative logits of tokens that have been read or written; 1 (default) for none
   * (Keskar et al., 2019, arXiv 1909.05858). From 1e-6 to 1e6.
   */
  readonly repetitionPenalty?: number;
  /** Whole, from 0 to 2^31 - 1. Default: drawn anew; the result says which was used. */
  readonly seed?: number;
}

export type Sampling = Required<SamplingOptions>;

/** Fills in the defaults. Throws a `RequestError` if an option is out of its range. */
export function checkSampling(options: SamplingOptions): Sampling {
  const { temperature = 0, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1 } = options;
  const { seed = Math.floor(Math.random() * 2 ** 31) } = options;
  const check = (name: string, value: unknown, isRight: (value: number) => boolean, wanted: string) => {
    if (typeof value !== "number" || !isRight(value))
      throw new RequestError(`${name} is ${show(value)}; it must be ${wanted}`);
  };
  // Backends take them as f32 and divide by them.
  check("temperature", temperature, (x) => x === 0 || (x >= 1e-30 && x <= 1e6), "0, or from 1e-30 to 1e6");
  check("topK", topK, (x) => Number.isSafeInteger(x) && x >= 0, "a whole number of at least 0");
  check("topP", topP, (x) => x > 0 && x <= 1, "above 0 and at most 1");
  check("minP", minP, (x) => x >= 0 && x <= 1, "from 0 to 1");
  check("repetitionPenalty", repetitionPenalty, (x) => x >= 1e-6 && x <= 1e6, "from 1e-6 to 1e6");
  const isSeed = (x: number) => Number.isSafeInteger(x) && x >= 0 && x < 2 ** 31;
  check("seed", seed, isSeed, "a whole number from 0 to 2147483647");
  return { temperature, topK, topP, minP, repetitionPenalty, seed };
}
