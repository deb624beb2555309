import { type Haystack, haystack, isRight, type Material } from "@ziggurat/cli/haystack";
import { EvaluationError, type ItemRecord } from "@ziggurat/eval";
import { makePolicy } from "@ziggurat/policies";
import { type GenerateResult, type Model, Session } from "@ziggurat/runtime";
import { generateEach } from "@ziggurat/runtime/evaluate";
import type { PlannedCell } from "./plan.js";

/** The most tokens of an answer. */
const maxTokens = 24;

/** What a policy held after the prompt. */
type Held = Pick<ItemRecord, "rows" | "bytes" | "evicted">;

/** Cells that differ in their policies alone, with their ids. */
export type Group = readonly (PlannedCell & { readonly id: string })[];

/**
 * Runs one item of a group's cells. If the question is inside the prompt, one prefill serves all policies. If it is
 * asked later, each policy compresses the document in a separate session and then reads the question. Gives one
 * record for each cell, in its order.
 */
export async function* runItem(model: Model, material: Material, group: Group, item: number) {
  const { tokens, question, seed } = group[0]!.cell;
  const length = (text: string) => model.tokenizer!.encode(text).length;
  const { task } = group[0]!;
  const document = haystack({ task, tokens, seed: 100_000 * seed + item, material, length });
  const ids = promptOf(model, document.messages);
  const record = (index: number, { text }: GenerateResult, held: Held): ItemRecord => ({
    ...{ kind: "item", cell: group[index]!.id, item, score: isRight(text, document.answer) ? 1 : 0, answer: text },
    ...{ expected: [document.answer], promptTokens: ids.length, ...held },
  });
  if (question === "inside") {
    const policies = group.map(({ spec }) => makePolicy(spec, ids.length).policy);
    let index = 0;
    for await (const result of generateEach({ model, policies, prompt: ids, maxTokens, seed: 0 })) {
      const { rows, bytes, roomBytes } = result.cache;
      yield record(index++, result, { rows, bytes: bytes - roomBytes, evicted: result.policy.evicted });
    }
    return;
  }
  const documentTokens = sharedTokens(ids, promptOf(model, [{ role: "user", content: document.text }]));
  const before = ids.slice(0, documentTokens);
  const after = ids.slice(documentTokens);
  for (const [index, { spec }] of group.entries()) {
    const session = new Session({ model, policy: makePolicy(spec, before.length).policy });
    try {
      await session.read(before);
      const { rows, cacheBytes } = session;
      const evicted = rows.flat().reduce((sum, held) => sum + before.length - held, 0);
      const result = await session.generate({ prompt: after, maxTokens, seed: 0 }).result;
      yield record(index, result, { rows, bytes: cacheBytes, evicted });
    } finally {
      session.close();
    }
  }
}

/** The ids of a chat prompt. */
function promptOf(model: Model, messages: Haystack["messages"]): number[] {
  if (!model.chat) throw new EvaluationError(`${model.name} has no chat template; these tasks are chats`);
  return model.chat.prompt(messages);
}

/** How many ids two prompts begin with in common: those of a document, up to its question. */
function sharedTokens(a: readonly number[], b: readonly number[]): number {
  let shared = 0;
  while (shared < a.length && a[shared] === b[shared]) shared++;
  return shared;
}
