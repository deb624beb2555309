import type { OpName } from "@ziggurat/tensor";

/** Bytes that a command needs beside its operands. */
export interface Scratch {
  /** Shared by all workers. */
  readonly shared: number;
  /** For each worker. */
  readonly thread: number;
}

type Dims = Readonly<Record<string, number>>;

const none: Scratch = { shared: 0, thread: 0 };
const up = (n: number, to: number) => Math.ceil(n / to) * to;
const histogram = 1024;

/** Each function follows the layout at the head of the kernel of the same name. */
const needs: Partial<Record<OpName, (dims: Dims) => Scratch>> = {
  linear: ({ rows, width, quantised }) => {
    const activations = 4 * up(width!, 8) + 32 * Math.ceil(width! / 128);
    if (rows! < 4) return { shared: rows! * activations, thread: 16 * rows! + 64 };
    // Three more rows, because the last tile of four may reach beyond. Products of bytes need less: 2.625 bytes per
    // number, and 52 * 768 + 192 per thread.
    if (quantised) return { shared: (rows! + 3) * activations, thread: 4 * (16 * 512 + 16 * 64) + 128 + 16 * 512 };
    return { shared: 0, thread: 4 * (32 * 512 + 8 * 512 + 12 * 8) };
  },
  sample: ({ vocabulary }) => ({ shared: 0, thread: 12 * vocabulary! }),
  gather: ({ headSize }) => ({ shared: 0, thread: 4 * headSize! }),
  evict: ({ capacity }) => ({ shared: 0, thread: 4 * capacity! }),
  topk: ({ capacity }) => ({ shared: 0, thread: histogram + 8 * capacity! }),
  apportion: ({ kvHeads, capacity }) => ({ shared: 0, thread: 4 * kvHeads! * capacity! }),
  observe: ({ headSize }) => ({
    shared: 0,
    thread: 4 * (64 * up(headSize!, 8) + 48 * 64 + 8 * up(headSize!, 8)) + 128,
  }),
  through: ({ size }) => {
    const padded = up(size!, 16);
    return { shared: 0, thread: 4 * (padded * padded + 4 * padded + 4) };
  },
  order: ({ capacity }) => ({ shared: 0, thread: histogram + 16 * capacity! }),
  attention: ({ queryHeads, kvHeads, headSize }) => {
    const group = queryHeads! / kvHeads!;
    const padded = up(headSize!, 8);
    return { shared: 0, thread: 4 * (64 * (headSize! + padded) + 48 * 64 + 8 * headSize! + group * 48 * (2 + padded)) };
  },
  decodeAttention: ({ sequences, queryHeads, kvHeads, headSize, capacity }) => {
    const padded = up(headSize!, 4);
    const parts = sequences! * queryHeads! * Math.ceil(capacity! / 512);
    return {
      shared: 4 * parts * (4 + padded),
      thread: 4 * (queryHeads! / kvHeads!) * (up(headSize!, 8) + 512) + 16 * up(headSize!, 8) + 256,
    };
  },
  watch: ({ headSize }) => ({
    shared: 0,
    thread: 4 * (64 * up(headSize!, 8) + 48 * 64 + 64 + 8 * up(headSize!, 8)) + 128,
  }),
};

export const scratchOf = (op: OpName, dims: Dims): Scratch => needs[op]?.(dims) ?? none;
