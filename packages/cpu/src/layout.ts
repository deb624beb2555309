// Words in low memory that the host and the workers share. assembly/lib/control.ts has the same addresses, in bytes.

/** The number of batches submitted. */
export const SUBMITTED = 64;
/** The number of batches completed. */
export const COMPLETED = 128;
/** Header of the batch before the first. */
export const FIRST_BATCH = 512;
/** The first address of buffers. */
export const HEAP_START = 65536;

/**
 * The header of a batch: the address of the next header, the words of commands, whether the host waits for its end, and
 * an unused word. The commands follow.
 */
export const HEADER_BYTES = 16;

/** Commands beside the ops of the catalogue come after them in number; see `Op` in assembly/lib/arguments.ts. */
export const extraCommands = ["zero", "move", "inline", "scratch", "replay"] as const;
