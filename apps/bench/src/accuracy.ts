import { table } from "@ziggurat/bench-kit";
import { haystack, isRight, material, type Task } from "@ziggurat/cli/haystack";
import { cpu } from "@ziggurat/cpu";
import { pebble } from "@ziggurat/pebble";
import { full } from "@ziggurat/policy";
import { generate, loadModel } from "@ziggurat/runtime";

const tasks: readonly Task[] = ["needle", "table", "labels"];

/**
 * How many documents of held-out words Pebble answers exactly with its full cache: equal thirds of one needle, tables
 * of numbers, few-shot labels.
 */
export async function accuracy({
  threads,
  runs,
  tokens,
  weights,
}: {
  threads: number;
  runs: number;
  tokens: number;
  weights: "q8_0" | undefined;
}): Promise<void> {
  const backend = await cpu({ threads });
  const model = await loadModel(pebble(), { backend, ...(weights ? { weights } : {}) });
  const source = await material();
  const length = (text: string) => model.tokenizer!.encode(text).length;
  const right = new Map(tasks.map((task) => [task, 0]));
  const each = Math.ceil(runs / tasks.length);
  for (const task of tasks) {
    for (let seed = 0; seed < each; seed++) {
      const { messages, answer } = haystack({ task, tokens, seed, material: source, length });
      const result = await generate({ model, policy: full(), prompt: messages, maxTokens: 24 }).result;
      if (isRight(result.text, answer)) right.set(task, right.get(task)! + 1);
      else console.error(`${task}, seed ${seed}: ${JSON.stringify(result.text)}, not ${JSON.stringify(answer)}`);
    }
    console.error(`${task}: ${right.get(task)} of ${each}`);
  }
  const sum = [...right.values()].reduce((a, b) => a + b, 0);
  const rows = tasks.map((task) => [
    task,
    `${right.get(task)} of ${each}`,
    `${((100 * right.get(task)!) / each).toFixed(1)} %`,
  ]);
  console.log(
    table([
      [`task, full cache, ${weights ?? "bf16"}`, "right", "share"],
      ...rows,
      ["all", `${sum} of ${each * tasks.length}`, `${((100 * sum) / (each * tasks.length)).toFixed(1)} %`],
    ]),
  );
  await backend.dispose();
}
