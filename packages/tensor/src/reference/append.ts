import { type Meaning, rowOf, setFrom } from "./view.js";

export const append: Meaning<"append"> = (spec, { qkv, keys, values, cells, offset, length, seen, ended }) => {
  const { sequences, tokens, queryHeads, kvHeads, headSize, arenaRows, planes, ranks } = spec;
  for (let h = 0; h < sequences * kvHeads; h++) {
    const s = Math.floor(h / kvHeads);
    if (ended.get(s) !== 0) continue;
    for (let i = 0; i < tokens; i++) {
      const from = (s * tokens + i) * (queryHeads + 2 * kvHeads) + queryHeads + (h % kvHeads);
      const row = offset.get(h) + length.get(h) + i;
      if (keys) setFrom(keys, row * headSize, rowOf(qkv, from, headSize));
      if (values) setFrom(values, row * headSize, rowOf(qkv, from + kvHeads, headSize));
      if (!cells) continue;
      for (let plane = 0; plane < planes; plane++) cells.set(plane * arenaRows + row, 0);
      cells.set(row, seen.get(h) + i);
      if (ranks) cells.set(arenaRows + row, length.get(h) + i);
    }
  }
};
