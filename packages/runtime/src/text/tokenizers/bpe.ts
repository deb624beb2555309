import { show, TokenizerError } from "../../error.js";
import type { ModelSource, TokenModel } from "./token-model.js";
import { byteTokens, inBytes, readVocabulary } from "./vocabulary.js";

// Byte-pair encoding, as the reference library (huggingface/tokenizers, src/models/bpe) has it.

/** Pieces whose ids are kept. */
const mostKept = 20_000;
/** Characters of a piece that is kept. */
const longestKept = 64;
/** Symbols from which on merges wait in a heap. */
const fewSymbols = 48;

export function readBpe({ json, where, isSpecial }: ModelSource): TokenModel {
  const text = (field: string): string | undefined => {
    const value = json[field] ?? undefined;
    if (value !== undefined && typeof value !== "string")
      throw new TokenizerError(`${where}: model.${field} is ${show(value)}; it must be a string`);
    return value;
  };
  if (json.dropout !== undefined && json.dropout !== null && json.dropout !== 0)
    throw new TokenizerError(
      `${where}: model.dropout is ${show(json.dropout)}; it must be null, since ids would be chance`,
    );
  const vocabulary = readVocabulary(json.vocab, where);
  const { ids, tokens } = vocabulary;
  const prefix = text("continuing_subword_prefix") ?? "";
  const suffix = text("end_of_word_suffix") ?? "";
  const unknownToken = text("unk_token");
  const unknown = unknownToken === undefined ? undefined : ids.get(unknownToken);
  const fusesUnknown = json.fuse_unk === true;
  const ignoresMerges = json.ignore_merges === true;
  const bytes = json.byte_fallback === true ? byteTokens(ids) : undefined;
  const special = new Set<number>();
  for (const [id, token] of tokens.entries()) if (token !== undefined && isSpecial(token)) special.add(id);
  const merges = readMerges(json.merges ?? [], where, ids, prefix.length, special);
  const plainId = (token: string): number | undefined => {
    const id = ids.get(token);
    return id === undefined || special.has(id) ? undefined : id;
  };

  /** The ids of a piece's characters, before anything is merged. */
  function symbolsOf(piece: string): number[] {
    const symbols: number[] = [];
    let isFirst = true;
    let wasUnknown = false;
    let at = 0;
    for (const character of piece) {
      at += character.length;
      const symbol = (isFirst ? "" : prefix) + character + (at === piece.length ? suffix : "");
      isFirst = false;
      const id = plainId(symbol);
      const spelt = id === undefined && bytes ? inBytes(symbol, bytes) : undefined;
      if (id !== undefined) symbols.push(id);
      else if (spelt) symbols.push(...spelt);
      else if (unknownToken !== undefined) {
        if (unknown === undefined)
          throw new TokenizerError(`${where}: model.unk_token is ${show(unknownToken)}, which the vocabulary lacks`);
        if (!(fusesUnknown && wasUnknown)) symbols.push(unknown);
        wasUnknown = true;
        continue;
      }
      // Without an unknown token, a character that the vocabulary lacks is left out.
      if (id !== undefined || spelt) wasUnknown = false;
    }
    return symbols;
  }

  const kept = new Map<string, readonly number[]>();
  return {
    ...vocabulary,
    encode(piece, out) {
      const known = kept.get(piece);
      if (known) {
        for (const id of known) out.push(id);
        return undefined;
      }
      const whole = ignoresMerges ? plainId(piece) : undefined;
      if (whole !== undefined) {
        out.push(whole);
        return undefined;
      }
      if (piece.length > longestKept)
        return (function* () {
          const merged = yield* mergeMany(symbolsOf(piece), merges);
          for (const id of merged) out.push(id);
        })();
      const merged = mergeFew(symbolsOf(piece), merges);
      if (kept.size >= mostKept) kept.clear();
      kept.set(piece, merged);
      for (const id of merged) out.push(id);
      return undefined;
    },
  };
}

/** Rank and outcome of merging two ids. */
interface Merge {
  readonly rank: number;
  readonly id: number;
}
/** By the left id, by the right id. */
type Merges = ReadonlyMap<number, ReadonlyMap<number, Merge>>;

function readMerges(
  list: unknown,
  where: string,
  ids: ReadonlyMap<string, number>,
  prefixLength: number,
  special: ReadonlySet<number>,
): Merges {
  if (!Array.isArray(list)) throw new TokenizerError(`${where}: model.merges is ${show(list)}; it must be a list`);
  const merges = new Map<number, Map<number, Merge>>();
  for (let rank = 0; rank < list.length; rank++) {
    const [left, right] = pairOf(list[rank], rank, where);
    const idOf = (token: string): number =>
      ids.get(token) ??
      (() => {
        throw new TokenizerError(
          `${where}: model.merges[${rank}] is ${show(list[rank])}; the vocabulary has no ${show(token)}`,
        );
      })();
    const [a, b, id] = [idOf(left), idOf(right), idOf(left + right.slice(prefixLength))];
    if (special.has(id)) continue;
    let row = merges.get(a);
    if (!row) merges.set(a, (row = new Map()));
    row.set(b, { rank, id });
  }
  return merges;
}

function pairOf(merge: unknown, rank: number, where: string): readonly [string, string] {
  if (Array.isArray(merge) && merge.length === 2 && typeof merge[0] === "string" && typeof merge[1] === "string")
    return merge as unknown as readonly [string, string];
  if (typeof merge === "string") {
    const space = merge.indexOf(" ");
    if (space >= 0 && merge.indexOf(" ", space + 1) < 0) return [merge.slice(0, space), merge.slice(space + 1)];
  }
  throw new TokenizerError(`${where}: model.merges[${rank}] is ${show(merge)}; it must be a pair of tokens`);
}

/** Merges a few symbols, the lowest rank first, the leftmost of one rank first. */
function mergeFew(symbols: number[], merges: Merges): number[] {
  if (symbols.length > fewSymbols) {
    const steps = mergeMany(symbols, merges);
    let step = steps.next();
    while (!step.done) step = steps.next();
    return step.value;
  }
  while (true) {
    let best: Merge | undefined;
    let at = -1;
    for (let i = 0; i + 1 < symbols.length; i++) {
      const merge = merges.get(symbols[i]!)?.get(symbols[i + 1]!);
      if (merge && (!best || merge.rank < best.rank)) {
        best = merge;
        at = i;
      }
    }
    if (!best) return symbols;
    symbols.splice(at, 2, best.id);
  }
}

/** Places that a heap tells apart beside ranks: both are one number. */
const mostSymbols = 2 ** 28;

/** Merges any number of symbols in n log n steps. Yields now and then. */
function* mergeMany(symbols: number[], merges: Merges): Generator<void, number[]> {
  const { length } = symbols;
  if (length > mostSymbols)
    throw new TokenizerError(`a piece of ${length} symbols is too long; ${mostSymbols} are the most`);
  const next = Int32Array.from({ length }, (_, i) => (i + 1 < length ? i + 1 : -1));
  const previous = Int32Array.from({ length }, (_, i) => i - 1);
  const heap = new NumberHeap();
  const mergeAt = (at: number): Merge | undefined => {
    const after = next[at]!;
    return after < 0 ? undefined : merges.get(symbols[at]!)?.get(symbols[after]!);
  };
  const offer = (at: number): void => {
    const merge = at < 0 ? undefined : mergeAt(at);
    if (merge) heap.push(merge.rank * mostSymbols + at);
  };
  for (let at = 0; at < length; at++) {
    offer(at);
    if (at % 8192 === 8191) yield;
  }
  for (let count = 1; heap.size > 0; count++) {
    const top = heap.pop();
    const rank = Math.floor(top / mostSymbols);
    const at = top - rank * mostSymbols;
    // The pair may have been merged away since.
    const merge = symbols[at] === -1 ? undefined : mergeAt(at);
    if (merge?.rank !== rank) continue;
    const after = next[at]!;
    symbols[at] = merge.id;
    symbols[after] = -1;
    next[at] = next[after]!;
    if (next[at]! >= 0) previous[next[at]!] = at;
    offer(previous[at]!);
    offer(at);
    if (count % 8192 === 0) yield;
  }
  return symbols.filter((id) => id !== -1);
}

/** Numbers, the least first. */
class NumberHeap {
  #items = new Float64Array(1024);
  size = 0;

  push(value: number): void {
    if (this.size === this.#items.length) {
      const larger = new Float64Array(2 * this.size);
      larger.set(this.#items);
      this.#items = larger;
    }
    const items = this.#items;
    let child = this.size++;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (items[parent]! <= value) break;
      items[child] = items[parent]!;
      child = parent;
    }
    items[child] = value;
  }

  pop(): number {
    const items = this.#items;
    const top = items[0]!;
    const last = items[--this.size]!;
    let parent = 0;
    for (let child = 1; child < this.size; child = 2 * parent + 1) {
      if (child + 1 < this.size && items[child + 1]! < items[child]!) child++;
      if (items[child]! >= last) break;
      items[parent] = items[child]!;
      parent = child;
    }
    items[parent] = last;
    return top;
  }
}
