import { rotated } from "./rotation.js";
import { type Meaning, rowOf, setFrom } from "./view.js";

export const rope: Meaning<"rope"> = (spec, { qkv, table, base }) => {
  const { sequences, tokens, queryHeads, kvHeads, headSize, rotary, tableRows, keys } = spec;
  const heads = queryHeads + 2 * kvHeads;
  for (let s = 0; s < sequences; s++) {
    for (let i = 0; i < tokens; i++) {
      for (let head = 0; head < queryHeads + (keys ? kvHeads : 0); head++) {
        const kvHead = head < queryHeads ? Math.floor(head / (queryHeads / kvHeads)) : head - queryHeads;
        const row = (s * tokens + i) * heads + head;
        const position = base.get(s * kvHeads + kvHead) + i;
        setFrom(qkv, row * headSize, rotated(rowOf(qkv, row, headSize), position, { table, tableRows, rotary }));
      }
    }
  }
};
