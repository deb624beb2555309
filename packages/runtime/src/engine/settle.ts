import type { Backend, Slice } from "@ziggurat/tensor";

/**
 * Waits until the work enqueued so far has run. Rejects if one of `own`, 4 bytes or more each, was lost. `synchronise`
 * would also report errors of other callers; reading one's own buffers does not.
 */
export async function settle(backend: Backend, ...own: readonly Slice[]): Promise<void> {
  await Promise.all(own.map((slice) => backend.read(slice, 4)));
}
