// Words in low memory that the host and the workers share: assembly/lib/control.ts has the same addresses, in bytes.

/** Batches handed over. */
export const SUBMITTED = 64;
/** Batches done. */
export const COMPLETED = 128;
/** Header of the batch before the first. */
export const FIRST_BATCH = 512;
/** Where buffers may begin. */
export const HEAP_START = 65536;

/**
 * A batch: address of the next one's header, words of commands, whether the host waits for its end, nothing; then the
 * commands.
 */
export const HEADER_BYTES = 16;

/** Commands beside the ops of the catalogue come after them in number; see `Op` in assembly/lib/arguments.ts. */
export const extraCommands = ["zero", "move", "inline", "scratch", "replay"] as const;
