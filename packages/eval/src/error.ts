/** Reports an invalid plan, task, record or statistic: what was wrong, where, and what would be right. */
export class EvalError extends Error {
  override readonly name = "EvalError";
}
