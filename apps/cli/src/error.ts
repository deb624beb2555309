/** A flag, file or prompt that cannot be used. Names it, its value and what would be right. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A value as an error message shows it: short, on one line. */
export const quote = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);

/** What the user reads of an error: one line, or with `debug` its stack. */
export function explain(error: unknown, debug: boolean): string {
  if (!(error instanceof Error)) return `error: ${String(error)}`;
  if (debug) return error.stack ?? `${error.name}: ${error.message}`;
  return `error: ${error.message.replace(/\s*\n\s*/g, " ")}`;
}

export const isAbort = (error: unknown): boolean => error instanceof Error && error.name === "AbortError";
