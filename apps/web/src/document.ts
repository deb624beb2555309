import { haystack, material } from "@ziggurat/cli/haystack";
import type { Tokenizer } from "@ziggurat/runtime";

/** A text that is no document for the page; the message is for people. */
export class DocumentError extends Error {
  override readonly name = "DocumentError";
}

/** Far more than Pebble reads: 16,384 tokens are some 60 kB of English. */
export const mostBytes = 1_000_000;

/** The text of a file that was chosen or dropped. Rejects with a {@link DocumentError}. */
export async function readFile(file: File): Promise<string> {
  const name = `“${file.name}”`;
  if (file.size > mostBytes) {
    throw new DocumentError(
      `${name} is too long: it has ${(file.size / 1e6).toFixed(1)} MB, and Pebble reads about 60 kB of English. Choose a shorter text.`,
    );
  }
  const content = await file.arrayBuffer().catch(() => {
    throw new DocumentError(`${name} cannot be read. If it is a folder, choose a file in it.`);
  });
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(content);
  } catch {
    throw new DocumentError(`${name} is not UTF-8 text. Save it as plain text in UTF-8, and open it again.`);
  }
  if (text.includes("\0"))
    throw new DocumentError(`${name} holds zero bytes, so it is not a text. Choose a plain text file.`);
  if (text.trim() === "") throw new DocumentError(`${name} is empty. Choose a file with some text.`);
  return text;
}

/** A document made of a public-domain book, with eight facts hidden in it, and a question about one of them. */
export async function sample(tokenizer: Tokenizer, tokens: number, seed: number) {
  const made = await material();
  const length = (text: string) => tokenizer.encode(text).length;
  return haystack({
    task: "needles",
    tokens,
    seed,
    material: made,
    length,
    needles: Math.min(8, Math.floor(tokens / 64)),
  });
}
