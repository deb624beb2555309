const controller = new AbortController();

/** Aborted by ctrl-C: work stops at the next step and frees its memory. A second ctrl-C ends the process at once. */
export const signal: AbortSignal = controller.signal;

export function abortOnInterrupt(): void {
  process.once("SIGINT", () => {
    controller.abort();
    process.once("SIGINT", () => process.exit(130));
  });
}
