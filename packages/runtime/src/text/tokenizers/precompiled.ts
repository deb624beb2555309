import { TokenizerError } from "../../error.js";
import { checkGrowth, grown } from "./field.js";
import type { Normalizer } from "./normalizer.js";

// SentencePiece's normalisation rules as it compiles them: the size of a trie, a double-array trie of UTF-8 (Darts),
// and the texts that its values are places in, each with a zero byte at its end. Applied as the crate spm_precompiled
// does.

/** A grapheme of fewer bytes than this is looked up whole. */
const wholeGrapheme = 6;

export function precompiled(base64: string, where: string): Normalizer {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    throw new TokenizerError(`${where}: precompiled_charsmap is no base64`);
  }
  const view = new DataView(bytes.buffer);
  const size = bytes.length < 4 ? 0 : view.getUint32(0, true);
  if (bytes.length < 4 || size % 4 !== 0 || 4 + size > bytes.length)
    throw new TokenizerError(`${where}: precompiled_charsmap has ${bytes.length} bytes and a trie of ${size}`);
  const trie = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const texts = bytes.subarray(4 + size);
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();

  const offset = (unit: number) => (unit >>> 10) << ((unit & 0x200) >>> 6);
  /** What the shortest rule that a text begins with makes of the text; undefined if no rule does. */
  function change(key: Uint8Array): string | undefined {
    let place = offset(trie[0] ?? 0);
    for (const byte of key) {
      if (byte === 0) return undefined;
      place ^= byte;
      const unit = trie[place] ?? 0;
      if ((unit & 0x800000ff) !== byte) return undefined;
      place ^= offset(unit);
      if ((unit >>> 8) & 1) {
        const from = (trie[place] ?? 0) & 0x7fffffff;
        const to = texts.indexOf(0, from);
        return decoder.decode(texts.subarray(from, to < 0 ? texts.length : to));
      }
    }
    return undefined;
  }
  const known = new Map<string, string | undefined>();
  const changed = (text: string): string | undefined => {
    if (!known.has(text)) {
      if (known.size > 10_000) known.clear();
      known.set(text, change(encoder.encode(text)));
    }
    return known.get(text);
  };

  return function* (text, most = grown(text.length)) {
    let out = "";
    let count = 0;
    for (const { segment } of new Intl.Segmenter("en", { granularity: "grapheme" }).segment(text)) {
      if (++count % 4096 === 0) yield;
      const whole = encoder.encode(segment).length < wholeGrapheme ? changed(segment) : undefined;
      if (whole !== undefined) out += whole;
      else for (const character of segment) out += changed(character) ?? character;
      checkGrowth(out.length, most);
    }
    return out;
  };
}
