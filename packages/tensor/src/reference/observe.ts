import { rotated } from "./rotation.js";
import { logit } from "./softmax.js";
import { type Meaning, rowOf } from "./view.js";

export const observe: Meaning<"observe"> = (
  spec,
  { qkv, keys, cells, table, lse, offset, length, ended, observed },
) => {
  const { sequences, tokens, queryHeads, kvHeads, headSize, arenaRows, capacity, queries, from, first } = spec;
  const { rotary, tableRows, scale, softcap } = spec;
  for (let head = 0; head < sequences * queryHeads; head++) {
    const s = Math.floor(head / queryHeads);
    if (ended.get(s) !== 0) continue;
    const h = s * kvHeads + Math.floor((head % queryHeads) / (queryHeads / kvHeads));
    for (let j = 0; j < length.get(h) + tokens; j++) {
      const row = offset.get(h) + j;
      const key = rowOf(keys, row, headSize);
      const turned = cells && table ? rotated(key, cells.get(arenaRows + row), { table, tableRows, rotary }) : key;
      for (let i = from; i < tokens; i++) {
        const query = rowOf(qkv, (s * tokens + i) * (queryHeads + 2 * kvHeads) + (head % queryHeads), headSize);
        const seen = j <= length.get(h) + i;
        const share = seen ? Math.exp(logit(query, turned, scale, softcap) - lse.get(head * tokens + i)) : 0;
        observed.set((head * capacity + j) * queries + first + i - from, share);
      }
    }
  }
};
