import { ConfigError, show } from "../error.js";
import { isRecord } from "./files.js";

/** Readers of the fields of one JSON object. Every error names the file and the field. */
export function fieldsOf(json: unknown, file: string) {
  if (!isRecord(json)) throw new ConfigError(`${file}: is ${show(json)}; it must be an object`);
  const fail = (field: string, right: string): never => {
    throw new ConfigError(`${file}: ${field} is ${show(json[field])}; it must be ${right}`);
  };
  return {
    json,
    file,
    fail,
    /** Throws for a fault of several fields together. */
    refuse: (why: string): never => {
      throw new ConfigError(`${file}: ${why}`);
    },
    /** Whether the field is present: null counts as absent. */
    has: (field: string): boolean => json[field] !== undefined && json[field] !== null,
    /** A whole number from `least` to `most`. */
    whole(field: string, least: number, most: number, missing?: number): number {
      const value = json[field] ?? missing;
      if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
        fail(field, `a whole number from ${least} to ${most}`);
      }
      return value as number;
    },
    number(field: string, least: number, most: number, missing?: number): number {
      const value = json[field] ?? missing;
      if (typeof value !== "number" || !(value >= least && value <= most))
        fail(field, `a number from ${least} to ${most}`);
      return value as number;
    },
    flag(field: string, missing: boolean): boolean {
      const value = json[field] ?? missing;
      if (typeof value !== "boolean") fail(field, "true or false");
      return value as boolean;
    },
  };
}

export type Fields = ReturnType<typeof fieldsOf>;
