import { rotated } from "./rotation.js";
import { logit } from "./softmax.js";
import { type Meaning, rowOf } from "./view.js";

export const watch: Meaning<"watch"> = (spec, { qkv, keys, cells, table, lse, offset, length, ended, mass }) => {
  const {
    sequences,
    tokens,
    queryHeads,
    kvHeads,
    headSize,
    arenaRows,
    capacity,
    from,
    rotary,
    tableRows,
    scale,
    softcap,
  } = spec;
  for (let head = 0; head < sequences * queryHeads; head++) {
    const s = Math.floor(head / queryHeads);
    if (ended.get(s) !== 0) continue;
    const h = s * kvHeads + Math.floor((head % queryHeads) / (queryHeads / kvHeads));
    const queries = Array.from({ length: tokens }, (_, i) =>
      rowOf(qkv, (s * tokens + i) * (queryHeads + 2 * kvHeads) + (head % queryHeads), headSize),
    );
    for (let j = 0; j < length.get(h) + tokens; j++) {
      const row = offset.get(h) + j;
      const key = rowOf(keys, row, headSize);
      const turned = cells && table ? rotated(key, cells.get(arenaRows + row), { table, tableRows, rotary }) : key;
      let sum = 0;
      for (let i = Math.max(from, j - length.get(h)); i < tokens; i++) {
        sum += Math.exp(logit(queries[i]!, turned, scale, softcap) - lse.get(head * tokens + i));
      }
      mass.set(head * capacity + j, mass.get(head * capacity + j) + sum);
    }
  }
};
