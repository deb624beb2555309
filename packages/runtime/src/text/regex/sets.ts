/** A set of characters. */
export interface CharacterSet {
  /** Equal for equal descriptions. */
  readonly key: string;
  has(code: number): boolean;
  /** The one character that the set was written as, if it was. */
  readonly character?: string;
}

export const everything: CharacterSet = { key: "any", has: () => true };

export function literal(character: string): CharacterSet {
  const only = character.codePointAt(0)!;
  return { key: `=${only}`, has: (code) => code === only, character };
}

export const range = (first: number, last: number): CharacterSet => ({
  key: `${first}-${last}`,
  has: (code) => code >= first && code <= last,
});

export const not = (set: CharacterSet): CharacterSet => ({ key: `!(${set.key})`, has: (code) => !set.has(code) });

export const anyOf = (sets: readonly CharacterSet[]): CharacterSet =>
  sets.length === 1
    ? sets[0]!
    : { key: `(${sets.map(({ key }) => key).join()})`, has: (code) => sets.some((set) => set.has(code)) };

/** Characters that equal one of the set when case is ignored, by simple case folding. */
export function fold(set: CharacterSet): CharacterSet {
  if (set.character === undefined) {
    return {
      key: `i(${set.key})`,
      has(code) {
        const character = String.fromCodePoint(code);
        const forms = [character, character.toLowerCase(), character.toUpperCase(), simpleFold(character)];
        return forms.some((form) => [...form].length === 1 && set.has(form.codePointAt(0)!));
      },
    };
  }
  const pattern = new RegExp(`^\\u{${set.character.codePointAt(0)!.toString(16)}}$`, "iu");
  return { key: `i${set.key}`, has: (code) => pattern.test(String.fromCodePoint(code)) };
}

/** The long s and the Kelvin sign fold to ASCII letters. */
const simpleFold = (character: string): string =>
  character === "\u017f" ? "s" : character === "\u212a" ? "k" : character;

function ofPattern(key: string, source: string): CharacterSet {
  const pattern = new RegExp(`^${source}$`, "u");
  return { key, has: (code) => pattern.test(String.fromCodePoint(code)) };
}

/** Oniguruma's classes, as it has them for Unicode. */
const classes: Readonly<Record<string, string>> = {
  alnum: "[\\p{Alphabetic}\\p{Nd}]",
  alpha: "\\p{Alphabetic}",
  ascii: "[\\0-\\x7f]",
  blank: "[\\p{Zs}\\t]",
  cntrl: "\\p{Cc}",
  digit: "\\p{Nd}",
  graph: "[^\\p{White_Space}\\p{Cc}\\p{Cn}\\p{Cs}]",
  lower: "\\p{Lowercase}",
  print: "[^\\p{Zl}\\p{Zp}\\p{Cc}\\p{Cn}\\p{Cs}]",
  punct: "\\p{P}",
  space: "\\p{White_Space}",
  upper: "\\p{Uppercase}",
  xdigit: "[0-9A-Fa-f]",
  word: "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\xb2\\xb3\\xb9\\xbc-\\xbe]",
  any: "[\\0-\\u{10ffff}]",
};
/** Classes that are others in [: :]. */
const bracketClasses: Readonly<Record<string, string>> = {
  punct: "[\\p{P}\\p{S}]",
  word: "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}]",
};

/** The class of a name in [: :]; undefined for one that is none. */
export const bracketClass = (name: string): CharacterSet | undefined =>
  Object.hasOwn(bracketClasses, name)
    ? ofPattern(`[:${name}:]`, bracketClasses[name]!)
    : Object.hasOwn(classes, name)
      ? named(name)
      : undefined;

export const named = (name: string): CharacterSet => ofPattern(`:${name}`, classes[name]!);

/** Names of general categories and properties that JavaScript writes in another way. */
const respelt = (name: string): string[] => {
  const plain = name.replace(/[\s_-]/g, "");
  const words = name.split(/[\s_-]+/).map((word) => word.charAt(0).toUpperCase() + word.slice(1).toLowerCase());
  return [name, plain, words.join("_"), words.join("")];
};

const properties = new Map<string, CharacterSet | undefined>();

/**
 * The set of a property's name: one of Oniguruma's classes, a general category, a script or a binary property. Case,
 * spaces, hyphens and underscores do not count. Undefined for a name that is none.
 */
export function property(name: string): CharacterSet | undefined {
  if (!properties.has(name)) properties.set(name, findProperty(name));
  return properties.get(name);
}

function findProperty(name: string): CharacterSet | undefined {
  const plain = name.toLowerCase().replace(/[\s_-]/g, "");
  if (Object.hasOwn(classes, plain)) return named(plain);
  for (const spelling of respelt(name)) {
    for (const source of [`\\p{${spelling}}`, `\\p{Script=${spelling}}`]) {
      try {
        return ofPattern(source, source);
      } catch {
        // Not this one.
      }
    }
  }
  return undefined;
}
