/** A malformed weight file. The message names the file, the tensor if there is one, and the numbers. */
export class FormatError extends Error {
  override readonly name = "FormatError";
}

/** A model's configuration that is wrong or not supported. The message names the file, the field and its value. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** A malformed tokenizer file, or a request that a tokenizer cannot meet. */
export class TokenizerError extends Error {
  override readonly name = "TokenizerError";
}

/** A chat template that is malformed, throws, runs too long, or does not fit the messages. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
}

/** A value from outside as an error message shows it: short, on one line. */
export function show(value: unknown): string {
  const text = ArrayBuffer.isView(value) ? `${value.byteLength} bytes` : textOf(shorter(value));
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function textOf(value: unknown): string {
  let text: string | undefined;
  try {
    // JSON has no NaN and no infinities.
    text = typeof value === "bigint" ? `${value}n` : typeof value === "number" ? String(value) : JSON.stringify(value);
  } catch {
    // A cycle, too deep, or with a getter or toJSON that throws: its kind must do.
  }
  return text ?? String(typeof value === "object" ? Object.prototype.toString.call(value) : value);
}

/** The first part of a long string or list, so that showing it takes little time and memory. */
const shorter = (value: unknown): unknown =>
  (typeof value === "string" || Array.isArray(value)) && value.length > 100 ? value.slice(0, 100) : value;

/** The message of a thrown value. */
export const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A request that cannot be met. The message names the option, its value and what would be right. */
export class RequestError extends Error {
  override readonly name = "RequestError";
}

/** A request that needs a larger cache than its ceiling. Nothing was done. */
export class CeilingError extends Error {
  override readonly name = "CeilingError";
}

/** A failed download. The message names the repository or URL, the file and the reason. */
export class DownloadError extends Error {
  override readonly name = "DownloadError";
}
