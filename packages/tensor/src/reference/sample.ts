import { randomUniform } from "./random.js";
import { type Meaning, rowOf } from "./view.js";

interface Candidate {
  readonly id: number;
  readonly logit: number;
}

/** Greatest logit first; among equal ones the lower id. */
const likeliestFirst = (a: Candidate, b: Candidate) => (a.logit === b.logit ? a.id - b.id : b.logit > a.logit ? 1 : -1);

/** The next token: `logits` after the penalty, `u` in [0, 1). */
function choose(
  logits: readonly number[],
  temperature: number,
  topK: number,
  topP: number,
  minP: number,
  u: number,
): number {
  const sorted = logits
    .map((logit, id) => ({ id, logit: Number.isNaN(logit) ? Number.NEGATIVE_INFINITY : logit }))
    .sort(likeliestFirst);
  const best = sorted[0]!;
  if (temperature === 0 || !Number.isFinite(best.logit)) return best.id;

  const top = (topK > 0 ? sorted.slice(0, topK) : sorted).map(({ id, logit }) => ({
    id,
    weight: Math.exp((logit - best.logit) / temperature),
  }));
  const total = top.reduce((sum, { weight }) => sum + weight, 0);
  let mass = 0;
  const nucleus = top.filter((_, rank) => {
    const open = rank === 0 || topP >= 1 || mass < topP * total;
    if (open) mass += top[rank]!.weight;
    return open;
  });
  const kept = nucleus.filter(({ weight }) => weight >= minP * nucleus[0]!.weight).sort((a, b) => a.id - b.id);

  const aim = u * kept.reduce((sum, { weight }) => sum + weight, 0);
  let running = 0;
  for (const { id, weight } of kept) {
    running += weight;
    if (running > aim) return id;
  }
  return best.id;
}

/** Top-p: arXiv 1904.09751. Min-p: arXiv 2407.01082. Penalty: CTRL, arXiv 1909.05858, as transformers applies it. */
export const sample: Meaning<"sample"> = ({ sequences, vocabulary, ring, stopCount }, operands) => {
  const { logits, params, seeds, stops, history, steps, ended, tokens, ids } = operands;
  for (let s = 0; s < sequences; s++) {
    if (ended.get(s) !== 0) continue;
    const [temperature, topK, topP, minP, penalty] = rowOf(params, s, 5) as [number, number, number, number, number];
    const step = steps.get(s);
    const penalised = rowOf(logits, s, vocabulary).map((logit, id) => {
      if (!history || history.get(s * vocabulary + id) <= 0) return logit;
      return logit > 0 ? logit / penalty : logit * penalty;
    });
    const token = choose(penalised, temperature, topK, topP, minP, randomUniform(seeds.get(s), step));
    tokens.set(s, token);
    ids.set(s * ring + (step % ring), token);
    history?.set(s * vocabulary + token, history.get(s * vocabulary + token) + 1);
    if (rowOf(stops, s, stopCount).includes(token)) ended.set(s, 1);
    steps.set(s, step + 1);
  }
};
