import type { Checkpoint } from "@ziggurat/bench-kit/fixtures";

/**
 * Logits after every token of `ids`, computed the plain way in float64 with full attention: what LlamaForCausalLM means
 * (Touvron et al., 2023), written without anything of this repository.
 */
export function plainLogits({ shape, weights }: Checkpoint, ids: readonly number[]): Float64Array[] {
  const { layers, hidden, queryHeads, kvHeads, headSize, feedForward, vocabulary, theta, tied } = shape;
  const of = (name: string) => weights.get(name)!;
  const linear = (x: Float64Array, name: string, out: number): Float64Array => {
    const weight = of(`${name}.weight`);
    const bias = weights.get(`${name}.bias`);
    return Float64Array.from({ length: out }, (_, o) =>
      x.reduce((sum, value, i) => sum + value * weight[o * x.length + i]!, bias?.[o] ?? 0),
    );
  };
  const norm = (x: Float64Array, name: string): Float64Array => {
    const scale = 1 / Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length + 1e-5);
    return x.map((value, i) => value * scale * of(name)[i]!);
  };
  const rotated = (x: Float64Array, position: number): Float64Array => {
    const half = headSize / 2;
    return x.map((value, i) => {
      const j = i % headSize;
      const angle = position * theta ** ((-2 * (j % half)) / headSize);
      const partner = j < half ? -x[i + half]! : x[i - half]!;
      return value * Math.cos(angle) + partner * Math.sin(angle);
    });
  };

  const stream = ids.map((id) =>
    Float64Array.from(of("model.embed_tokens.weight").subarray(id * hidden, (id + 1) * hidden)),
  );
  for (let layer = 0; layer < layers; layer++) {
    const at = (name: string) => `model.layers.${layer}.${name}`;
    const normed = stream.map((x) => norm(x, at("input_layernorm.weight")));
    const q = normed.map((x, i) => rotated(linear(x, at("self_attn.q_proj"), queryHeads * headSize), i));
    const k = normed.map((x, i) => rotated(linear(x, at("self_attn.k_proj"), kvHeads * headSize), i));
    const v = normed.map((x) => linear(x, at("self_attn.v_proj"), kvHeads * headSize));
    stream.forEach((x, i) => {
      const mixed = new Float64Array(queryHeads * headSize);
      for (let head = 0; head < queryHeads; head++) {
        const kv = Math.floor(head / (queryHeads / kvHeads)) * headSize;
        const logits = k.slice(0, i + 1).map((key) => {
          let dot = 0;
          for (let d = 0; d < headSize; d++) dot += q[i]![head * headSize + d]! * key[kv + d]!;
          return dot / Math.sqrt(headSize);
        });
        const greatest = Math.max(...logits);
        const shares = logits.map((logit) => Math.exp(logit - greatest));
        const sum = shares.reduce((a, b) => a + b, 0);
        shares.forEach((share, j) => {
          for (let d = 0; d < headSize; d++) mixed[head * headSize + d]! += (share / sum) * v[j]![kv + d]!;
        });
      }
      linear(mixed, at("self_attn.o_proj"), hidden).forEach((value, d) => void (x[d]! += value));
      const inner = norm(x, at("post_attention_layernorm.weight"));
      const gate = linear(inner, at("mlp.gate_proj"), feedForward);
      const up = linear(inner, at("mlp.up_proj"), feedForward);
      const gated = gate.map((value, d) => (value / (1 + Math.exp(-value))) * up[d]!);
      linear(gated, at("mlp.down_proj"), hidden).forEach((value, d) => void (x[d]! += value));
    });
  }
  const head = tied ? "model.embed_tokens" : "lm_head";
  return stream.map((x) => linear(norm(x, "model.norm.weight"), head, vocabulary));
}

/** log softmax(logits)[id]. */
export function plainLogProbability(logits: ArrayLike<number>, id: number): number {
  const all = Array.from(logits);
  const greatest = Math.max(...all);
  return all[id]! - greatest - Math.log(all.reduce((sum, logit) => sum + Math.exp(logit - greatest), 0));
}
