import { type Haystack, haystack, isRight, type Material } from "@ziggurat/cli/haystack";
import { EvaluationError, type ItemRecord } from "@ziggurat/eval";
import { makePolicy } from "@ziggurat/policies";
import { type GenerateResult, type Model, Session } from "@ziggurat/runtime";
import { generateEach } from "@ziggurat/runtime/evaluate";
import type { PlannedCell } from "./plan.js";

/** The most tokens of an answer. */
const maxTokens = 24;

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
  const { document: before, question: after } = split(model, document);
  const ids = [...before, ...after];
  const record = ({ text, cache, policy, promptTokens }: GenerateResult, index: number, rows = cache.rows) => ({
    ...{ kind: "item", cell: group[index]!.id, item, score: isRight(text, document.answer) ? 1 : 0, answer: text },
    ...{ expected: [document.answer], promptTokens, rows, bytes: cache.bytes - cache.roomBytes },
    evicted: policy.evicted,
  });
  if (question === "inside") {
    const policies = group.map(({ spec }) => makePolicy(spec, ids.length).policy);
    let index = 0;
    for await (const result of generateEach({ model, policies, prompt: ids, maxTokens, seed: 0 }))
      yield record(result, index++) as ItemRecord;
    return;
  }
  for (const [index, { spec }] of group.entries()) {
    const session = new Session({ model, policy: makePolicy(spec, before.length).policy });
    try {
      await session.read(before);
      const { rows, cacheBytes } = session;
      const evicted = rows.flat().reduce((sum, held) => sum + before.length - held, 0);
      const result = await session.generate({ prompt: after, maxTokens, seed: 0 }).result;
      const one = record(result, index, rows);
      yield { ...one, promptTokens: ids.length, bytes: cacheBytes, evicted } as ItemRecord;
    } finally {
      session.close();
    }
  }
}

/** The ids of a document up to its question, and of the rest: the two together are the whole chat prompt. */
function split(model: Model, { text, messages }: Haystack): { document: number[]; question: number[] } {
  if (!model.chat) throw new EvaluationError(`${model.name} has no chat template; these tasks are chats`);
  const ids = model.chat.prompt(messages);
  const alone = model.chat.prompt([{ role: "user", content: text }]);
  let shared = 0;
  while (shared < ids.length && ids[shared] === alone[shared]) shared++;
  return { document: ids.slice(0, shared), question: ids.slice(shared) };
}
