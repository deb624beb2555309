import { show, TokenizerError } from "../../error.js";
import type { ModelSource, TokenModel } from "./token-model.js";
import { readVocabulary } from "./vocabulary.js";

// WordPiece and WordLevel, as the reference library (huggingface/tokenizers, src/models) has them.

/** Characters that are looked up between two pauses. */
const stretch = 1 << 18;

function unknownOf(json: Readonly<Record<string, unknown>>, ids: ReadonlyMap<string, number>, where: string) {
  const token = json.unk_token ?? "[UNK]";
  return (): number => {
    const id = typeof token === "string" ? ids.get(token) : undefined;
    if (id === undefined)
      throw new TokenizerError(`${where}: model.unk_token is ${show(token)}, which the vocabulary lacks`);
    return id;
  };
}

export function readWordPiece({ json, where, isSpecial }: ModelSource): TokenModel {
  const vocabulary = readVocabulary(json.vocab, where);
  const { ids } = vocabulary;
  const unknown = unknownOf(json, ids, where);
  const prefix = json.continuing_subword_prefix ?? "##";
  const longest = json.max_input_chars_per_word ?? 100;
  if (typeof prefix !== "string")
    throw new TokenizerError(`${where}: model.continuing_subword_prefix is ${show(prefix)}; it must be a string`);
  if (!Number.isSafeInteger(longest) || (longest as number) < 0)
    throw new TokenizerError(`${where}: model.max_input_chars_per_word is ${show(longest)}; it must be a whole number`);
  // Only what is as long as some token can be one.
  const lengths = [...new Set(Array.from(ids.keys(), (token) => [...token].length))].sort((a, b) => b - a);
  return {
    ...vocabulary,
    *encode(word, out) {
      const characters = [...word];
      let work = 0;
      if (characters.length > (longest as number)) {
        out.push(unknown());
        return;
      }
      const found: number[] = [];
      for (let from = 0; from < characters.length; ) {
        const before = from > 0 ? prefix : "";
        let to = from;
        let id: number | undefined;
        for (const length of lengths) {
          to = from + length - [...before].length;
          if (to <= from || to > characters.length) continue;
          const token = before + characters.slice(from, to).join("");
          work += token.length;
          if (work > stretch) {
            yield;
            work = 0;
          }
          id = isSpecial(token) ? undefined : ids.get(token);
          if (id !== undefined) break;
        }
        if (id === undefined) {
          out.push(unknown());
          return;
        }
        found.push(id);
        from = to;
      }
      for (const id of found) out.push(id);
    },
  };
}

export function readWordLevel({ json, where, isSpecial }: ModelSource): TokenModel {
  const vocabulary = readVocabulary(json.vocab, where);
  const { ids } = vocabulary;
  const unknown = unknownOf({ unk_token: "<unk>", ...json }, ids, where);
  return {
    ...vocabulary,
    encode(word, out) {
      out.push((isSpecial(word) ? undefined : ids.get(word)) ?? unknown());
      return undefined;
    },
  };
}
