export {
  type Cell,
  type CellBudget,
  canonicalJson,
  cellId,
  hashOf,
  type Provenance,
  type QuestionPlace,
} from "./cell.js";
export { EvaluationError } from "./error.js";
export {
  classification,
  codeSimilarity,
  count,
  longbenchDatasets,
  longbenchScore,
  questionAnsweringF1,
  retrieval,
} from "./metrics/longbench.js";
export { rougeL } from "./metrics/rouge.js";
export { matchAll, matchPart } from "./metrics/ruler.js";
export { type ItemRecord, itemKey, type RecordFile, type RecordHeader, RecordWriter, readRecords } from "./records.js";
export { html, type ReportOptions } from "./report/html.js";
export { markdown } from "./report/markdown.js";
export { binomialInterval } from "./statistics/binomial.js";
export { type BootstrapOptions, bootstrapDifference, bootstrapMean, type Interval } from "./statistics/bootstrap.js";
export { holm } from "./statistics/holm.js";
export { type PermutationOptions, signFlipTest } from "./statistics/permutation.js";
export { type Comparison, type Table, type TableOptions, type TableRow, tables } from "./table.js";
