/**
 * Changes a text before it is split, in slices: it yields after each part of the work. Throws a
 * `TokenizerError` where it would make more than `most` characters of it; default: as `grown` has it.
 */
export type Normalizer = (text: string, most?: number) => Generator<void, string>;
