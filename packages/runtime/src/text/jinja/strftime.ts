import { fail } from "./values.js";

const months = "January February March April May June July August September October November December".split(" ");
const days = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

/** Writes a local date as Python's `strftime` does in the C locale on Linux. Throws for a code that is none. */
export function strftime(date: Date, format: string): string {
  const pad = (number: number, width = 2, fill = "0") => String(number).padStart(width, fill);
  const year = date.getFullYear();
  const hour12 = date.getHours() % 12 || 12;
  const dayOfYear = Math.round((Date.UTC(year, date.getMonth(), date.getDate()) - Date.UTC(year, 0, 1)) / 864e5) + 1;
  const weekday = date.getDay();
  const iso = isoWeek(year, dayOfYear, weekday || 7);
  const codes: Readonly<Record<string, () => string>> = {
    a: () => days[weekday]!.slice(0, 3),
    A: () => days[weekday]!,
    w: () => String(weekday),
    u: () => String(weekday || 7),
    d: () => pad(date.getDate()),
    e: () => pad(date.getDate(), 2, " "),
    b: () => months[date.getMonth()]!.slice(0, 3),
    h: () => months[date.getMonth()]!.slice(0, 3),
    B: () => months[date.getMonth()]!,
    m: () => pad(date.getMonth() + 1),
    y: () => pad(year % 100),
    Y: () => String(year),
    C: () => pad(Math.floor(year / 100)),
    H: () => pad(date.getHours()),
    k: () => pad(date.getHours(), 2, " "),
    I: () => pad(hour12),
    l: () => pad(hour12, 2, " "),
    p: () => (date.getHours() < 12 ? "AM" : "PM"),
    P: () => (date.getHours() < 12 ? "am" : "pm"),
    M: () => pad(date.getMinutes()),
    S: () => pad(date.getSeconds()),
    f: () => pad(date.getMilliseconds() * 1000, 6),
    // Python's datetime.now() has no time zone.
    z: () => "",
    Z: () => "",
    s: () => String(Math.floor(date.getTime() / 1000)),
    j: () => pad(dayOfYear, 3),
    U: () => pad(Math.floor((dayOfYear + 6 - weekday) / 7)),
    W: () => pad(Math.floor((dayOfYear + 6 - ((weekday + 6) % 7)) / 7)),
    G: () => String(iso.year),
    g: () => pad(iso.year % 100),
    V: () => pad(iso.week),
    c: () => strftime(date, "%a %b %e %H:%M:%S %Y"),
    x: () => strftime(date, "%m/%d/%y"),
    X: () => strftime(date, "%H:%M:%S"),
    D: () => strftime(date, "%m/%d/%y"),
    F: () => strftime(date, "%Y-%m-%d"),
    R: () => strftime(date, "%H:%M"),
    T: () => strftime(date, "%H:%M:%S"),
    r: () => strftime(date, "%I:%M:%S %p"),
    n: () => "\n",
    t: () => "\t",
    "%": () => "%",
  };
  return format.replace(/%([-_0^#]?)([EO]?)([\s\S])|%$/g, (all: string, flag = "", _modifier = "", code = "") => {
    const write = Object.hasOwn(codes, code) ? codes[code] : undefined;
    if (!write) fail(`strftime_now: ${JSON.stringify(all)} is no code`);
    const written = write();
    if (flag === "-") return written.replace(/^[0 ]+(?=.)/, "");
    if (flag === "_") return written.replace(/^0+(?=.)/, (zeros) => " ".repeat(zeros.length));
    if (flag === "0") return written.replace(/^ +/, (blanks) => "0".repeat(blanks.length));
    return flag === "^" || (flag === "#" && code !== "p")
      ? written.toUpperCase()
      : flag === "#"
        ? written.toLowerCase()
        : written;
  });
}

/** The week of ISO 8601, which begins on a Monday, and the year that it belongs to. */
function isoWeek(year: number, dayOfYear: number, weekday: number): { readonly year: number; readonly week: number } {
  const week = Math.floor((dayOfYear - weekday + 10) / 7);
  const weeksOf = (of: number): number => {
    const first = new Date(Date.UTC(of, 0, 1)).getUTCDay();
    const isLeap = new Date(Date.UTC(of, 1, 29)).getUTCMonth() === 1;
    return first === 4 || (isLeap && first === 3) ? 53 : 52;
  };
  if (week < 1) return { year: year - 1, week: weeksOf(year - 1) };
  return week > weeksOf(year) ? { year: year + 1, week: 1 } : { year, week };
}
