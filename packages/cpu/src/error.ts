/** The CPU backend could not start, or one of its workers failed; the message says which and why. */
export class CpuError extends Error {
  override readonly name = "CpuError";
}
