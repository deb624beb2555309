import { type Meaning, rowOf, setFrom } from "./view.js";

export const embed: Meaning<"embed"> = ({ tokens, vocabulary, width, scale }, { ids, table, out }) => {
  for (let t = 0; t < tokens; t++) {
    const id = ids.get(t);
    const row = id >= 0 && id < vocabulary ? id : 0;
    setFrom(
      out,
      t * width,
      rowOf(table, row, width).map((x) => scale * x),
    );
  }
};
