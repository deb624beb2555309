import { rotated } from "./rotation.js";
import { type Meaning, rowOf, setFrom } from "./view.js";

export const gather: Meaning<"gather"> = (spec, operands) => {
  const { heads, most, headSize, arenaRows, targetRows, planes, rotary, tableRows, ranks } = spec;
  const { keys, values, cells, offset, rows, count, table, targetKeys, targetValues, targetCells, targetOffset } =
    operands;
  for (let h = 0; h < heads; h++) {
    for (let i = 0; i < count.get(h); i++) {
      const from = offset.get(h) + rows.get(h * most + i);
      const to = targetOffset.get(h) + i;
      const key = rowOf(keys, from, headSize);
      setFrom(targetKeys, to * headSize, table ? rotated(key, i, { table, tableRows, rotary }) : key);
      if (!values || !cells || !targetValues || !targetCells) continue;
      setFrom(targetValues, to * headSize, rowOf(values, from, headSize));
      for (let plane = 0; plane < planes; plane++) {
        targetCells.set(plane * targetRows + to, ranks && plane === 1 ? i : cells.get(plane * arenaRows + from));
      }
    }
    operands.targetLength.set(h, count.get(h));
  }
};
