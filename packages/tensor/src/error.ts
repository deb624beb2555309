/**
 * A buffer that was freed, is of another backend or has no such bytes: an error of the program that calls the backend.
 */
export class BufferError extends Error {
  override readonly name = "BufferError";
}

/** An allocation that the device refused. */
export class OutOfMemoryError extends Error {
  override readonly name = "OutOfMemoryError";
}
