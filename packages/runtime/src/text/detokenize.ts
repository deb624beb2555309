import { byteOfCharacter } from "./tokenizers/unicode.js";

// Token ids to text, one at a time, never a part of a character.

/** A decoder that takes token ids one by one. */
export interface TextStream {
  /** Takes the next id; returns the text that is certain by now, "" while a character is incomplete. */
  push(id: number): string;
  /** Returns the rest of the text, U+FFFD for a character that stayed incomplete, and starts anew. */
  end(): string;
}

/**
 * The stream of a byte-level vocabulary, whose tokens spell bytes. `lookUp` gives a token's spelling and whether it is
 * left out. A token with a character that spells no byte stands for itself. Bytes that are no UTF-8 become U+FFFD, as
 * they do when the whole is decoded at once.
 */
export function byteStream(lookUp: (id: number) => { text: string; skipped: boolean }): TextStream {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const encoder = new TextEncoder();
  return {
    push(id) {
      const { text, skipped } = lookUp(id);
      if (skipped) return "";
      const spelt = Array.from(text, (character) => byteOfCharacter.get(character));
      const bytes = spelt.includes(undefined) ? encoder.encode(text) : Uint8Array.from(spelt as number[]);
      return decoder.decode(bytes, { stream: true });
    },
    end: () => decoder.decode(),
  };
}

/**
 * The stream of a SentencePiece vocabulary, whose pieces write spaces as U+2581 and single bytes as `<0x0A>`. Bytes
 * that are no UTF-8 become U+FFFD, as sentencepiece itself has it. `strip`: the first space is no part of the text.
 */
export function pieceStream(lookUp: (id: number) => { text: string; skipped: boolean }, strip: boolean): TextStream {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const encoder = new TextEncoder();
  let first = strip;
  const given = (text: string): string => {
    if (!first || text === "") return text;
    first = false;
    return text.startsWith(" ") ? text.slice(1) : text;
  };
  return {
    push(id) {
      const { text, skipped } = lookUp(id);
      if (skipped) return "";
      const byte = /^<0x([0-9A-F]{2})>$/.exec(text)?.[1];
      const bytes =
        byte === undefined ? encoder.encode(text.replaceAll("\u2581", " ")) : Uint8Array.of(Number.parseInt(byte, 16));
      return given(decoder.decode(bytes, { stream: true }));
    },
    end() {
      const text = given(decoder.decode());
      first = strip;
      return text;
    },
  };
}

/** The most ids whose text is held back: a character has at most four bytes, each a token at worst. */
const patience = 4;
/** Ids decoded together with new ones, since a decoder may join tokens or treat the first one apart. */
const context = 6;

/**
 * The stream of any other vocabulary: decodes the newest ids with a few before them and gives what came on top. Text
 * that ends in U+FFFD may be a character in the making and is held back for up to four tokens.
 */
export function textStream(decode: (ids: readonly number[]) => string, skipped: (id: number) => boolean): TextStream {
  let before: number[] = [];
  let held: number[] = [];
  const take = (): string => {
    const text = decode([...before, ...held]).slice(decode(before).length);
    before = [...before, ...held].slice(-context);
    held = [];
    return text;
  };
  return {
    push(id) {
      if (skipped(id)) return "";
      held.push(id);
      const unfinished = held.length < patience && decode([...before, ...held]).endsWith("\ufffd");
      return unfinished ? "" : take();
    },
    end() {
      const text = held.length > 0 ? take() : "";
      before = [];
      return text;
    },
  };
}
