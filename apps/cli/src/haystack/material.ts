import { words } from "@ziggurat/pebble";
import { alice } from "../texts.js";

/** What documents are made of. */
export interface Material {
  /** Paragraphs of natural text, in order, each on one line. */
  readonly paragraphs: readonly string[];
  /** Lower-case words for keys and labels. */
  readonly words: readonly string[];
}

/**
 * The paragraphs of a text, as Pebble's training had them: white space made single spaces, headings and scraps left
 * out.
 */
export const paragraphsOf = (text: string): string[] =>
  text
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, " ").trim())
    .filter((paragraph) => paragraph.length > 40);

/** The bundled text, and words that Pebble never saw as keys or values. */
export async function material(): Promise<Material> {
  return { paragraphs: paragraphsOf(await readText(alice)), words: (await words()).heldout };
}

/** Asked for at run time, so that a bundle for browsers holds no trace of Node. */
async function readText(url: URL): Promise<string> {
  const fs = globalThis.process?.getBuiltinModule?.("node:fs");
  if (url.protocol === "file:" && fs) return fs.promises.readFile(url, "utf8");
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url.href}: the server answered ${response.status} ${response.statusText}`);
  return response.text();
}
