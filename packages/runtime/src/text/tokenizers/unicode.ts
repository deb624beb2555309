// Tests of code points as Rust's standard library and the reference library's tables have them.

const test = (source: string) => {
  const pattern = new RegExp(`^${source}$`, "u");
  return (code: number): boolean => pattern.test(String.fromCodePoint(code));
};

const kept = new Map<number, boolean>();
const white = test("\\p{White_Space}");
/** `char::is_whitespace`. */
export function isWhiteSpace(code: number): boolean {
  if (code < 0x80) return code === 32 || (code >= 9 && code <= 13);
  let found = kept.get(code);
  if (found === undefined) {
    found = white(code);
    if (kept.size < 4096) kept.set(code, found);
  }
  return found;
}
/** `char::is_numeric`. */
export const isNumeric = test("\\p{N}");
/** Punctuation as BERT takes it: all of ASCII's signs, and Unicode's. */
export const isPunctuation = test("[!-/:-@\\[-`\\{-~\\p{P}]");
/** What BERT's normalizer leaves out; unassigned characters stay. */
export const isControl = test("[\\p{Cc}\\p{Cf}\\p{Co}]");
/** What joins a word, for an added token with `single_word`. */
export const isWord = test("[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]");

/** GPT-2's table of a printable character for every byte (bytes_to_unicode in its encoder.py). */
export const characterOfByte: readonly string[] = (() => {
  let other = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
    return String.fromCodePoint(isPrintable ? byte : other++);
  });
})();
export const byteOfCharacter: ReadonlyMap<string, number> = new Map(
  characterOfByte.map((character, byte) => [character, byte]),
);

const encoder = new TextEncoder();
/** The UTF-8 bytes of a text, each as its printable character. */
export function spellBytes(text: string): string {
  let isPlain = true;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 33 || unit > 126) {
      isPlain = false;
      break;
    }
  }
  if (isPlain) return text;
  let spelt = "";
  for (const byte of encoder.encode(text)) spelt += characterOfByte[byte];
  return spelt;
}
