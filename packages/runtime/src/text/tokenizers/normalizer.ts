/** Changes a text before it is split, in slices: it yields after each part of the work. */
export type Normalizer = (text: string) => Generator<void, string>;
