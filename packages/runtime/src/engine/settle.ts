import type { Backend, Slice } from "@ziggurat/tensor";

/**
 * Waits until what was enqueued so far has run. Rejects where the bytes of one of `own`, 4 or more each, are lost:
 * unlike `synchronise`, which tells the first who comes of whatever went wrong, in another's work too.
 */
export async function settle(backend: Backend, ...own: readonly Slice[]): Promise<void> {
  await Promise.all(own.map((slice) => backend.read(slice, 4)));
}
