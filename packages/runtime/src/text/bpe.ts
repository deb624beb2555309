import type { Tokenizer as Library } from "@huggingface/tokenizers";
import { show } from "../error.js";

// The library's BPE model keeps a map of tokens, a list of them, and the rank of each merge under a key of its own
// making. Its constructor builds them from objects and pairs, through several copies of each, which takes longer than
// to read a small model's weights. Here it is constructed empty and its maps are filled.

/** Ranks by the library's keys, the JSON of a pair, of merges that are kept as the file has them. */
class Ranks extends Map<string, number> {
  override get(key: string): number | undefined {
    // Without a backslash the JSON is the two tokens in quotes, and a token has no quote in it; but a token may be a
    // comma.
    const middle = key.indexOf('","', 2);
    if (!key.includes("\\")) return super.get(`${key.slice(2, middle)} ${key.slice(middle + 3, -2)}`);
    const [left, right] = JSON.parse(key) as [string, string];
    return super.get(`${left} ${right}`);
  }
}

/**
 * Gives the library's empty BPE model its tokens, which `tokens` names one by one, and its merges, strings of two
 * tokens with a space between or pairs. Added tokens that it has already stay. Throws a `TypeError` where a merge is
 * none.
 */
export function fillBpe(
  { model }: Library,
  tokens: (add: (token: string, id: number) => void) => void,
  merges: readonly unknown[],
): void {
  const bpe = model as NonNullable<typeof model> & { bpe_ranks: Map<string, number> };
  const added = [...bpe.tokens_to_ids];
  const add = (token: string, id: number) => {
    bpe.tokens_to_ids.set(token, id);
    bpe.vocab[id] = token;
  };
  tokens(add);
  for (const [token, id] of added) add(token, id);
  if (bpe.unk_token !== undefined && bpe.unk_token !== null) {
    const id = bpe.tokens_to_ids.get(bpe.unk_token);
    if (id !== undefined) bpe.unk_token_id = id;
  }
  bpe.bpe_ranks = ranksOf(merges);
}

function ranksOf(merges: readonly unknown[]): Map<string, number> {
  if (!Array.isArray(merges[0])) {
    const ranks = new Ranks();
    for (const [rank, merge] of merges.entries()) {
      if (typeof merge !== "string")
        throw new TypeError(`merge ${rank} is ${show(merge)}; it must be two tokens with a space between`);
      ranks.set(merge, rank);
    }
    return ranks;
  }
  const ranks = new Map<string, number>();
  for (const [rank, merge] of merges.entries()) {
    if (!Array.isArray(merge)) throw new TypeError(`merge ${rank} is ${show(merge)}; it must be a pair of tokens`);
    ranks.set(JSON.stringify(merge), rank);
  }
  return ranks;
}
