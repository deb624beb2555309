import { policies } from "@ziggurat/policies";
import type { Policy } from "@ziggurat/policy";

/** Every policy with `keep` rows a layer and published defaults otherwise. */
export const everyPolicy = (keep: number): Policy[] =>
  policies.map(({ options, make }) => make("keep" in options.declared ? { keep } : {}));
