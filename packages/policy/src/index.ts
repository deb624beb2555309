export { fraction, perHead, uniform } from "./budgets.js";
export { checkPolicy } from "./check.js";
export {
  full,
  type RandomOptions,
  random,
  randomOptions,
  type SinksAndRecentOptions,
  sinksAndRecent,
  sinksAndRecentOptions,
} from "./controls.js";
export { PolicyError } from "./error.js";
export { asked, freezePolicies, freezePolicy } from "./frozen-policy.js";
export { layerBudgets } from "./layer-budgets.js";
export {
  computed,
  type Declared,
  type DefaultFrom,
  type Given,
  type Option,
  type Options,
  type OptionsOf,
  oneOf,
  options,
  real,
  type Values,
  whole,
} from "./options.js";
export {
  type Budget,
  type BudgetInput,
  type LayerShape,
  type LayerView,
  type Policy,
  type Protection,
  ranking,
  type Schedule,
  type Scorer,
  type Step,
} from "./policy.js";
export { anyOf, first, last, none, pin } from "./protections.js";
export { afterPrefill, every, never, whenOver } from "./schedules.js";
export { blend, type GroupReduction, groupReductions, randomScore, recency } from "./scorers.js";
