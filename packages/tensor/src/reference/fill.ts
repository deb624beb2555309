import type { Meaning } from "./view.js";

export const fill: Meaning<"fill"> = ({ words, value }, { out }) => {
  for (let i = 0; i < words; i++) out.set(i, value);
};
