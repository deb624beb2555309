import type { Meaning } from "./view.js";

export const copy: Meaning<"copy"> = ({ words }, { x, out }) => {
  for (let i = 0; i < words; i++) out.set(i, x.get(i));
};
