import { RequestError, show } from "./error.js";

// Checks of option objects. They come from JavaScript as well, so the compiler has not seen all of them.

/** Every option name of `T`. The compiler refuses a missing and a surplus name. */
export type OptionNames<T> = Readonly<Record<keyof T & string, true>>;

/**
 * Throws a `RequestError` if `options` is not an object, or has a name that `names` lacks: a misspelt option would be
 * ignored otherwise. `what` begins the message, such as "loadModel".
 */
export function knownOptions<T extends object>(what: string, options: T, names: OptionNames<T>): void {
  const known = Object.keys(names).join(", ");
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new RequestError(`${what}: the options are ${show(options)}; they must be an object with ${known}`);
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(names, name))
      throw new RequestError(`${what}: no option is called ${show(name)}; there are ${known}`);
  }
}

/** Throws a `RequestError` unless `callback` is a function or undefined. `option` is its name. */
export function checkCallback(option: string, callback: unknown): void {
  if (callback !== undefined && typeof callback !== "function")
    throw new RequestError(`${option} is ${show(callback)}; it must be a function`);
}

/** Throws a `RequestError` unless `signal` is an `AbortSignal`, of any realm, or undefined. */
export function checkSignal(signal: unknown): void {
  const { aborted, addEventListener, throwIfAborted } = Object(signal ?? {}) as Record<string, unknown>;
  const right =
    typeof aborted === "boolean" && typeof addEventListener === "function" && typeof throwIfAborted === "function";
  if (signal !== undefined && !right)
    throw new RequestError(
      `signal is ${show(signal)}; it must be an AbortSignal, such as new AbortController().signal`,
    );
}

/** Throws a `RequestError` unless `flag` is true, false or undefined. `option` is its name. */
export function checkFlag(option: string, flag: unknown): void {
  if (flag !== undefined && typeof flag !== "boolean")
    throw new RequestError(`${option} is ${show(flag)}; it must be true or false`);
}
