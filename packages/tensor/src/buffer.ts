// The places of operands. Apart from backend.ts, so that the catalogue can name a slice without importing the backend.

/** Bytes on the device. Owned by the backend that allocated it. */
export interface Buffer {
  readonly bytes: number;
}

/** A place in a buffer: `offset` bytes from its start, a multiple of 4. */
export interface Slice {
  readonly buffer: Buffer;
  readonly offset: number;
}
