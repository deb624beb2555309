/** Reports an invalid plan, task, record or statistic: what was wrong, where, and what would be right. */
export class EvaluationError extends Error {
  override readonly name = "EvaluationError";
}
