// Questions to processes and pages, and their answers. Rates are tokens per second.

/** Reads the first `tokens` ids in a fresh state. */
export interface Read {
  readonly do: "read";
  readonly tokens: number;
}

/** Reads the first `tokens` ids and keeps them for `Decode`, which is asked `rounds` times. */
export interface Fill {
  readonly do: "fill";
  readonly tokens: number;
  readonly rounds: number;
  /** Tokens that each `Decode` writes after its first. */
  readonly write: number;
}

export interface Decode {
  readonly do: "decode";
}

export type Question = Read | Fill | Decode;

export interface Rate {
  readonly rate: number;
  /** What computed, for the report. */
  readonly device?: string;
  /** Mean rows of one layer and KV head while decoding. */
  readonly rows?: number;
}

/** What a page measured. */
export interface PageRates {
  readonly prefill: number;
  readonly decode: number;
  readonly device: string;
}

export interface PageTask {
  readonly ids: readonly number[];
  /** The first `prefill` and `decodeAt` tokens as text, which is all that wllama takes. */
  readonly texts: readonly [prefill: string, decodeAt: string];
  readonly prefill: number;
  readonly decodeAt: number;
  readonly write: number;
  readonly threads: number;
}

export interface LoadReport {
  /** Of the file alone, read in parts of a megabyte into one place. Seconds. */
  readonly read?: number;
  /** Milliseconds since 1970 when the first token was there. */
  readonly firstTokenAt?: number;
  readonly weightBytes?: number;
  readonly cacheBytes?: number;
  /** The most memory that the process held, Node included: VmHWM, or the system's word for it. */
  readonly peakBytes: number;
}
