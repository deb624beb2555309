import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { Pattern } from "../src/text/regex/pattern.js";
const drain = (p: Pattern, t: string) => { const g = p.find(t); let s = g.next(); while (!s.done) s = g.next(); return s.value; };
it("fuzz", () => {
  const all = JSON.parse(readFileSync("/tmp/fx/rx.json", "utf8")) as [string, [string, string[]][]][];
  let ran = 0, refused: string[] = [], wrong: string[] = [];
  for (const [src, rows] of all) {
    let p: Pattern; try { p = new Pattern(src); } catch (e) { refused.push(`${src}   ${(e as Error).message}`); continue; }
    for (const [text, want] of rows) {
      const f = drain(p, text); const cuts = [0]; for (const c of f) cuts.push(c); cuts.push(text.length);
      const pieces: string[] = []; for (let i = 1; i < cuts.length; i++) { const s = text.slice(cuts[i-1], cuts[i]); if (s) pieces.push(s); }
      ran++; if (JSON.stringify(pieces) !== JSON.stringify(want)) wrong.push(`${src} on ${JSON.stringify(text)}: ${JSON.stringify(pieces)} want ${JSON.stringify(want)}`);
    }
  }
  console.log({ ran, refused: refused.length, wrong: wrong.length }); console.log(wrong.slice(0, 25).join("\n")); console.log(refused.filter(r => !/may be empty/.test(r)).slice(0, 12).join("\n"));
});
