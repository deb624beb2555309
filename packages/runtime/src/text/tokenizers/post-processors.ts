import { show, TokenizerError } from "../../error.js";
import { isRecord } from "../../files/files.js";
import { listField, type Part, partOf } from "./field.js";
import { isId } from "./vocabulary.js";

// Post-processors of tokenizer.json for a single text, as the reference library (src/processors) has them.

/** What stands before and after a text's ids. */
export interface Frame {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

const none: Frame = { before: [], after: [] };

/** `["[CLS]", 101]`, as BERT's and RoBERTa's processors name a token. */
function pairField({ json, where }: Part, field: string): number {
  const value = json[field];
  if (!Array.isArray(value) || !isId(value[1]))
    throw new TokenizerError(`${where}: ${field} is ${show(value)}; it must be a pair of a token and its id`);
  return value[1];
}

function template(part: Part): Frame {
  const { json, where } = part;
  const known = isRecord(json.special_tokens) ? json.special_tokens : {};
  const before: number[] = [];
  const after: number[] = [];
  let side = before;
  let texts = 0;
  for (const piece of listField(part, "single", (item) => item)) {
    const name = isRecord(piece) && isRecord(piece.SpecialToken) ? piece.SpecialToken.id : undefined;
    if (isRecord(piece) && isRecord(piece.Sequence)) {
      texts++;
      side = after;
      continue;
    }
    const token = typeof name === "string" && Object.hasOwn(known, name) ? known[name] : undefined;
    const ids = isRecord(token) ? token.ids : undefined;
    if (!Array.isArray(ids) || !ids.every(isId))
      throw new TokenizerError(`${where}: single has ${show(piece)}; it must be the text or one of special_tokens`);
    for (const id of ids) side.push(id);
  }
  if (texts !== 1) throw new TokenizerError(`${where}: single has the text ${texts} times; it must have it once`);
  return { before, after };
}

const kinds: Readonly<Record<string, (part: Part, depth: number) => Frame>> = {
  Sequence(part, depth) {
    const frames = listField(part, "processors", (json, where) => readPostProcessor(json, where, depth + 1));
    return frames.reduce(
      (inner, outer) => ({ before: [...outer.before, ...inner.before], after: [...inner.after, ...outer.after] }),
      none,
    );
  },
  ByteLevel: () => none,
  TemplateProcessing: template,
  BertProcessing: (part) => ({ before: [pairField(part, "cls")], after: [pairField(part, "sep")] }),
  RobertaProcessing: (part) => ({ before: [pairField(part, "cls")], after: [pairField(part, "sep")] }),
};

/**
 * Reads the `post_processor` of tokenizer.json; null is none. Throws a `TokenizerError` for one that is not supported.
 */
export function readPostProcessor(json: unknown, where: string, depth = 0): Frame {
  if (json === null || json === undefined) return none;
  const part = partOf(json, where, depth);
  const kind = part.json.type as string;
  if (!Object.hasOwn(kinds, kind))
    throw new TokenizerError(`${where} has the type ${show(kind)}; supported are ${Object.keys(kinds).join(", ")}`);
  return kinds[kind]!(part, depth);
}
