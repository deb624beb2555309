import { attend, logit } from "./softmax.js";
import { type Meaning, rowOf, setFrom } from "./view.js";

export const attention: Meaning<"attention"> = (spec, { qkv, keys, values, offset, length, out, lse }) => {
  const { tokens, queryHeads, kvHeads, headSize, window, scale, softcap } = spec;
  for (let head = 0; head < queryHeads; head++) {
    const h = Math.floor(head / (queryHeads / kvHeads));
    const rows = length.get(h) + tokens;
    const keyRows = Array.from({ length: rows }, (_, j) => rowOf(keys, offset.get(h) + j, headSize));
    const valueRows = Array.from({ length: rows }, (_, j) => rowOf(values, offset.get(h) + j, headSize));
    for (let i = 0; i < tokens; i++) {
      const query = rowOf(qkv, i * (queryHeads + 2 * kvHeads) + head, headSize);
      const end = length.get(h) + i + 1;
      const start = window > 0 ? Math.max(0, end - window) : 0;
      const logits = keyRows.slice(start, end).map((key) => logit(query, key, scale, softcap));
      const result = attend(logits, valueRows.slice(start, end), headSize);
      setFrom(out, (i * queryHeads + head) * headSize, result.out);
      lse.set(head * tokens + i, result.lse);
    }
  }
};
