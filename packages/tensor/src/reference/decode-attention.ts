import { rotated } from "./rotation.js";
import { attend, logit } from "./softmax.js";
import { type Meaning, rowOf, setFrom } from "./view.js";

export const decodeAttention: Meaning<"decodeAttention"> = (spec, operands) => {
  const { sequences, queryHeads, kvHeads, headSize, arenaRows, rotary, tableRows, scale, softcap } = spec;
  const { qkv, keys, values, cells, table, offset, length, ended, out, lse } = operands;
  for (let s = 0; s < sequences; s++) {
    for (let head = 0; head < queryHeads; head++) {
      const h = s * kvHeads + Math.floor(head / (queryHeads / kvHeads));
      const query = rowOf(qkv, s * (queryHeads + 2 * kvHeads) + head, headSize);
      const count = length.get(h) + (ended.get(s) === 0 ? 1 : 0);
      const rows = Array.from({ length: count }, (_, j) => offset.get(h) + j);
      const logits = rows.map((row) => {
        const key = rowOf(keys, row, headSize);
        const turned = cells && table ? rotated(key, cells.get(arenaRows + row), { table, tableRows, rotary }) : key;
        return logit(query, turned, scale, softcap);
      });
      const result = attend(
        logits,
        rows.map((row) => rowOf(values, row, headSize)),
        headSize,
      );
      setFrom(out, (s * queryHeads + head) * headSize, result.out);
      lse.set(s * queryHeads + head, result.lse);
    }
  }
};
