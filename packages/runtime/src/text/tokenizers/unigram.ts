import { show, TokenizerError } from "../../error.js";
import type { ModelSource, TokenModel } from "./token-model.js";
import { byteTokens, inBytes } from "./vocabulary.js";

// SentencePiece's unigram model, as the reference library (huggingface/tokenizers, src/models/unigram) has it.

/** What an unknown character costs below the least score of all. */
const unknownPenalty = 10;
/** Characters that are looked up between two pauses. */
const stretch = 1 << 15;

interface Node {
  readonly next: Map<number, Node>;
  id: number;
}

export function readUnigram({ json, where, isSpecial }: ModelSource): TokenModel {
  const { vocab } = json;
  if (!Array.isArray(vocab) || vocab.length === 0)
    throw new TokenizerError(
      `${where}: model.vocab is ${Array.isArray(vocab) ? "empty" : show(vocab)}; it must be a list of pieces`,
    );
  const scores = new Float64Array(vocab.length);
  const ids = new Map<string, number>();
  const tokens: string[] = [];
  const root: Node = { next: new Map(), id: -1 };
  let least = Number.POSITIVE_INFINITY;
  for (const [id, entry] of vocab.entries()) {
    if (!Array.isArray(entry) || typeof entry[0] !== "string" || typeof entry[1] !== "number")
      throw new TokenizerError(
        `${where}: model.vocab[${id}] is ${show(entry)}; it must be a pair of a piece and its score`,
      );
    const [piece, score] = entry as [string, number];
    scores[id] = score;
    least = Math.min(least, score);
    tokens.push(piece);
    ids.set(piece, id);
    if (piece === "" || isSpecial(piece)) continue;
    let node = root;
    for (let at = 0; at < piece.length; at++) {
      let next = node.next.get(piece.charCodeAt(at));
      if (!next) node.next.set(piece.charCodeAt(at), (next = { next: new Map(), id: -1 }));
      node = next;
    }
    node.id = id;
  }
  const given = json.unk_id ?? undefined;
  if (given !== undefined && !(Number.isSafeInteger(given) && tokens[given as number] !== undefined))
    throw new TokenizerError(`${where}: model.unk_id is ${show(given)}; it must be the id of a piece`);
  const unknown = given as number | undefined;
  const bytes = json.byte_fallback === true ? byteTokens(ids) : undefined;

  /** Ends of the pieces of the best path, last first, and their ids. */
  function* bestPath(text: string): Generator<void, { readonly starts: Int32Array; readonly found: Int32Array }> {
    const { length } = text;
    const best = new Float64Array(length + 1);
    const starts = new Int32Array(length + 1).fill(-1);
    const found = new Int32Array(length + 1);
    const offer = (from: number, to: number, score: number, id: number): void => {
      if (starts[to] !== -1 && score <= best[to]!) return;
      best[to] = score;
      starts[to] = from;
      found[to] = id;
    };
    let work = 0;
    for (let from = 0; from < length; ) {
      const width = text.codePointAt(from)! > 0xffff ? 2 : 1;
      let hasSingle = false;
      let node: Node | undefined = root;
      for (let at = from; at < length; ) {
        node = node.next.get(text.charCodeAt(at++));
        if (++work > stretch) {
          yield;
          work = 0;
        }
        if (!node) break;
        if (node.id < 0) continue;
        offer(from, at, scores[node.id]! + best[from]!, node.id);
        hasSingle ||= at - from === width;
      }
      if (!hasSingle) {
        if (unknown === undefined)
          throw new TokenizerError(
            `${where}: model.unk_id is missing, and ${show(text.slice(from, from + width))} is unknown`,
          );
        offer(from, from + width, least - unknownPenalty + best[from]!, unknown);
      }
      from += width;
    }
    return { starts, found };
  }

  return {
    ids,
    tokens,
    *encode(text, out) {
      if (text === "") return;
      const { starts, found } = yield* bestPath(text);
      const pieces: { from: number; to: number; id: number }[] = [];
      for (let to = text.length; to > 0; to = starts[to]!) {
        const from = starts[to]!;
        const last = pieces.at(-1);
        // Unknown characters in a row are one.
        if (last && found[to] === unknown && last.id === unknown) last.from = from;
        else pieces.push({ from, to, id: found[to]! });
      }
      for (const { from, to, id } of pieces.reverse()) {
        const spelt = id === unknown && bytes ? inBytes(text.slice(from, to), bytes) : undefined;
        if (spelt) for (const byte of spelt) out.push(byte);
        else out.push(id);
      }
    },
  };
}
