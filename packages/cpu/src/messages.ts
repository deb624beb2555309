// The messages between the host and its workers.

/** The first message to a worker. */
export interface Start {
  readonly module: WebAssembly.Module;
  readonly thread: number;
  readonly threads: number;
  /** Shared memory; without, the worker makes its own. */
  readonly memory?: WebAssembly.Memory;
  readonly maximumPages: number;
}

/** Orders to a worker with its own memory, carried out one after another. */
export type Order =
  | { readonly do: "grow"; readonly bytes: number }
  | { readonly do: "run"; readonly address: number; readonly words: Int32Array }
  | { readonly do: "write"; readonly address: number; readonly data: Uint8Array }
  | { readonly do: "read"; readonly id: number; readonly address: number; readonly bytes: number }
  | { readonly do: "synchronise"; readonly id: number };

/** From a worker. */
export type Report =
  /** It is up; `wrong` where the machine computes relaxed SIMD otherwise than it should. */
  | { readonly ready: true; readonly wrong?: string }
  /** A batch that the host waits for is done, or an order that asked for an answer. */
  | { readonly done: number; readonly data?: Uint8Array<ArrayBuffer> }
  | { readonly error: string };
