import { pebble, randomLlama, smollm2 } from "@ziggurat/bench-kit";
import { cpu } from "@ziggurat/cpu";
import { loadModel, type Model } from "@ziggurat/runtime";

/** What a speed is measured over. */
export interface Setting {
  readonly threads: number;
  readonly runs: number;
  readonly tokens: number;
  readonly shape: "pebble" | "smol";
}

/** A model of random weights of that shape, rounded to 8 bits, on the CPU, and the words that say so. */
export async function randomOnCpu({ threads, tokens, shape }: Setting): Promise<{ model: Model; title: string }> {
  const model = await loadModel(randomLlama(shape === "smol" ? smollm2 : pebble), {
    backend: await cpu({ threads }),
    weights: "q8_0",
  });
  return { model, title: `${model.name}, q8_0, ${tokens} tokens, ${threads} threads` };
}
