export { PolicyError } from "./error.js";
export {
  type Budget,
  type BudgetInput,
  type LayerShape,
  type LayerView,
  type Policy,
  type Protection,
  type Schedule,
  type Scorer,
  type Step,
  select,
} from "./policy.js";
