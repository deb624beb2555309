import { greatestFirst } from "./topk.js";
import { type Meaning, setFrom } from "./view.js";

export const apportion: Meaning<"apportion"> = (
  { sequences, kvHeads, capacity },
  { scores, positions, offset, length, limits, keep },
) => {
  for (let s = 0; s < sequences; s++) {
    const [rows, least, most] = [0, 1, 2].map((i) => limits.get(3 * s + i)) as [number, number, number];
    const heads = Array.from({ length: kvHeads }, (_, head) => s * kvHeads + head);
    const held = heads.map((h) => Math.min(length.get(h), capacity));
    const kept = held.map((n) => Math.max(0, Math.min(least, n)));
    const ranked = heads.flatMap((h, head) => {
      const own = Array.from({ length: held[head]! }, (_, row) => ({
        head,
        score: scores.get(h * capacity + row),
        position: positions.get(offset.get(h) + row),
      }));
      own.sort((a, b) => greatestFirst(a.score, b.score) || a.position - b.position);
      return own.slice(kept[head]);
    });
    ranked.sort((a, b) => greatestFirst(a.score, b.score) || a.position - b.position || a.head - b.head);
    let total = kept.reduce((a, b) => a + b, 0);
    for (const { head } of ranked) {
      if (total >= rows) break;
      if (kept[head]! >= most) continue;
      kept[head]!++;
      total++;
    }
    setFrom(keep, s * kvHeads, kept);
  }
};
