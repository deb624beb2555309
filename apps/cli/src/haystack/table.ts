import type { Document, Order } from "./document.js";

/** How a key and its value may stand on a line. */
const styles: readonly ((key: string, value: string) => string)[] = [
  (key, value) => `${JSON.stringify(key)}: ${JSON.stringify(value)}`,
  (key, value) => `line ${key}: REGISTER_CONTENT is <${value}>`,
  (key, value) => `${key}, ${value}`,
];

const questions = ["What is the value of {k}?", "Look up {k}.", "Key: {k}", "{k}"];

/** A table of keys and numbers, one of which is asked for. */
export function table({ r, material, tokens, line }: Order): Document {
  const style = r.pick(styles);
  const parts = r.whole(1, 2);
  const key = () =>
    r.chance(0.6)
      ? Array.from({ length: parts }, () => r.pick(material.words)).join("-")
      : Array.from({ length: 6 }, () => r.pick([..."0123456789abcdef"])).join("");
  const rows = new Map<string, string>();
  const lines: string[] = [];
  // Room for the longest question, whichever key it asks for.
  let left = tokens - 40;
  for (;;) {
    let name = key();
    while (rows.has(name)) name = `${key()}-${key()}`;
    const value = String(r.whole(1000, 999_999));
    const text = style(name, value);
    left -= line(text);
    if (left < 0) break;
    rows.set(name, value);
    lines.push(text);
  }
  const asked = r.pick([...rows.keys()]);
  const question = r.pick(questions).replace("{k}", () => asked);
  return { text: lines.join("\n"), question, answer: rows.get(asked)! };
}
