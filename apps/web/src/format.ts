// Numbers for people.

const units = ["B", "kB", "MB", "GB"];

/** Bytes in powers of 1000: `1.06 MB`. */
export function bytes(value: number): string {
  const at = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, value)) / 3)));
  return `${at === 0 ? value : (value / 1000 ** at).toPrecision(3)} ${units[at]}`;
}

/** Tokens per second: `8.2 tokens/s`; a dash if there is none yet. */
export const speed = (perSecond: number): string =>
  Number.isFinite(perSecond) && perSecond > 0
    ? `${perSecond >= 99.5 ? Math.round(perSecond) : perSecond.toPrecision(2)} tokens/s`
    : "–";

export const count = (value: number): string => value.toLocaleString("en");
