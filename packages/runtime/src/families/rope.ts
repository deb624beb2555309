import { rotaryFrequencies } from "@ziggurat/cache";
import { ConfigError, show } from "../error.js";
import { type Fields, fieldsOf } from "../files/fields.js";
import { isRecord } from "../files/files.js";
import type { Rope } from "./family.js";

// Rotary embedding as configurations describe it: `rope_theta` and `rope_scaling` (transformers 4), or
// `rope_parameters` (transformers 5), which may hold one object for each kind of layer. Formulae as in transformers'
// modeling_rope_utils.py. What makes them divide by zero or turn their meaning around is refused.

export interface RopeContext {
  readonly headSize: number;
  /** `max_position_embeddings`. */
  readonly contextLength: number;
  /** Tokens that will be read at most: longrope has other factors beyond the length of the first training. */
  readonly longest: number;
}

export interface RopeDefaults {
  readonly theta: number;
  /** The field that holds theta if `rope_parameters` does not. */
  readonly thetaField?: string;
  /** The name of these layers in `rope_parameters`, if that has an object for each kind of layer. */
  readonly layerType?: "full_attention" | "sliding_attention";
  /** Whether `rope_scaling` applies to these layers. Default true. */
  readonly scaled?: boolean;
}

const kinds = ["default", "linear", "llama3", "yarn", "longrope"] as const;
type Kind = (typeof kinds)[number];

/** The rotary embedding of a kind of layers. Throws a {@link ConfigError} that names the field. */
export function readRope(
  fields: Fields,
  context: RopeContext,
  { theta, thetaField = "rope_theta", layerType, scaled = true }: RopeDefaults,
): Rope {
  const given = parametersOf(fields, layerType, scaled);
  const kind = (given.json.rope_type ?? given.json.type ?? "default") as Kind | "su";
  // "su" is what longrope was called at first.
  const known = kind === "su" ? "longrope" : kind;
  if (!kinds.includes(known))
    throw new ConfigError(`${given.file} asks for the rope type ${show(kind)}; supported: ${kinds.join(", ")}`);
  const base = (
    given.has("rope_theta") ? given.number("rope_theta", 1, 1e12) : fields.number(thetaField, 1, 1e12, theta)
  ) as number;
  const partial = (given.has("partial_rotary_factor") ? given : fields).number("partial_rotary_factor", 0, 1, 1);
  const rotary = Math.trunc(context.headSize * partial);
  if (rotary < 2 || rotary % 2 !== 0) {
    throw new ConfigError(
      `${given.file}: partial_rotary_factor ${partial} turns ${rotary} numbers of a head; there must be an even number of them`,
    );
  }
  const plain = rotaryFrequencies(base, rotary);
  const rope = { default: unscaled, linear, llama3, yarn, longrope }[known](plain, { given, fields, base, context });
  // No field above lets this happen; if one did, every answer would be NaN without an error.
  const wrong = [rope.factor, ...rope.frequencies].find((number) => !(number > 0 && Number.isFinite(number)));
  if (wrong !== undefined)
    given.refuse(`the rope type ${show(known)} computes ${wrong}; frequencies and their factor must be above 0`);
  return rope;
}

/** The object that describes the layers: a nested one, a flat one, the older `rope_scaling`, or nothing. */
function parametersOf(fields: Fields, layerType: string | undefined, scaled: boolean): Fields {
  for (const name of ["rope_parameters", "rope_scaling"]) {
    if (!fields.has(name) || (name === "rope_scaling" && !scaled)) continue;
    const value = fields.json[name];
    if (!isRecord(value)) return fields.fail(name, "an object or null");
    const nested = layerType === undefined ? undefined : value[layerType];
    if (nested === undefined || nested === null) {
      const other = Object.keys(value).find((key) => /_attention$/.test(key));
      if (other !== undefined && layerType === undefined) fields.fail(name, `of one kind of layer, not of "${other}"`);
      if (other === undefined) return fieldsOf(value, `${fields.file}: ${name}`);
      continue;
    }
    return fieldsOf(nested, `${fields.file}: ${name}.${layerType}`);
  }
  return fieldsOf({}, fields.file);
}

interface Scaling {
  readonly given: Fields;
  readonly fields: Fields;
  readonly base: number;
  readonly context: RopeContext;
}
type Scale = (plain: Float32Array, scaling: Scaling) => Rope;

const factorOf = (given: Fields, missing?: number) => given.number("factor", 1e-3, 1e6, missing);

const mostTokens = 2 ** 27;
const originalName = "original_max_position_embeddings";

/** Tokens that the model was first trained for. */
function originalLength({ given, fields, context }: Scaling): number {
  return (fields.has(originalName) ? fields : given).whole(originalName, 1, mostTokens, context.contextLength);
}

/** Factors by which cosines and sines are multiplied: 0 would make all positions alike. */
const attentionFactor = (given: Fields, missing: number) => given.number("attention_factor", 1e-3, 1e3, missing);

const unscaled: Scale = (frequencies) => ({ frequencies, factor: 1 });

const linear: Scale = (plain, { given }) => {
  const factor = factorOf(given);
  return { frequencies: plain.map((frequency) => frequency / factor), factor: 1 };
};

/** Llama 3.1: low frequencies are divided, high ones are not, those between are blended. */
const llama3: Scale = (plain, scaling) => {
  const { given } = scaling;
  const factor = factorOf(given);
  const low = given.number("low_freq_factor", 1e-6, 1e6);
  const high = given.number("high_freq_factor", 1e-6, 1e6);
  if (high <= low) given.fail("high_freq_factor", `greater than low_freq_factor, ${low}`);
  const original = originalLength(scaling);
  return {
    frequencies: plain.map((frequency) => {
      const wavelength = (2 * Math.PI) / frequency;
      if (wavelength < original / high) return frequency;
      if (wavelength > original / low) return frequency / factor;
      const smooth = (original / wavelength - low) / (high - low);
      return ((1 - smooth) * frequency) / factor + smooth * frequency;
    }),
    factor: 1,
  };
};

/** Peng et al., 2023, arXiv 2309.00071. */
const yarn: Scale = (plain, scaling) => {
  const { given, base, context } = scaling;
  const original = originalLength(scaling);
  const factor = factorOf(given, context.contextLength / original);
  const reach = Math.floor(original * factor);
  if (reach > mostTokens)
    given.fail(
      "factor",
      `at most ${mostTokens / original}: with ${original} tokens before, ${mostTokens} are the most`,
    );
  if (base === 1) given.refuse("rope_theta is 1; it must be above 1 for yarn, since wavelengths grow with it");
  const grown = (by: number) => (factor <= 1 ? 1 : 0.1 * by * Math.log(factor) + 1);
  const both = given.has("mscale") && given.has("mscale_all_dim");
  const scales = both ? [given.number("mscale", 0, 1e3), given.number("mscale_all_dim", 0, 1e3)] : [];
  const usual = scales[0] && scales[1] ? grown(scales[0]) / grown(scales[1]) : grown(1);
  const rotary = 2 * plain.length;
  const turning = (rotations: number) =>
    (rotary * Math.log(original / (rotations * 2 * Math.PI))) / (2 * Math.log(base));
  const truncate = given.flag("truncate", true);
  const slowest = given.number("beta_slow", 1e-3, 1e6, 1);
  const fastest = given.number("beta_fast", 1e-3, 1e6, 32);
  if (fastest <= slowest) given.fail("beta_fast", `greater than beta_slow, ${slowest}`);
  const fast = turning(fastest);
  const slow = turning(slowest);
  const low = Math.max(truncate ? Math.floor(fast) : fast, 0);
  const high = Math.min(truncate ? Math.ceil(slow) : slow, rotary - 1);
  // transformers would interpolate the wrong way round.
  if (high < low)
    given.refuse(
      `with ${originalName} ${original} and rope_theta ${base}, no frequency of ${rotary / 2} lies between beta_fast and beta_slow`,
    );
  const width = high === low ? 0.001 : high - low;
  return {
    frequencies: plain.map((frequency, j) => {
      const ramp = Math.min(1, Math.max(0, (j - low) / width));
      return (frequency / factor) * ramp + frequency * (1 - ramp);
    }),
    factor: attentionFactor(given, usual),
    contextLength: Math.max(context.contextLength, reach),
  };
};

/**
 * Ding et al., 2024, arXiv 2402.13753: a factor for every frequency, from one of two sets. A model keeps to one set, so
 * that cached keys stay right.
 */
const longrope: Scale = (plain, scaling) => {
  const { given, context } = scaling;
  const original = originalLength(scaling);
  const factor = factorOf(given, context.contextLength / original);
  if (original === 1 && factor > 1 && !given.has("attention_factor"))
    given.refuse(`${originalName} is 1; longrope divides by its logarithm, so it must be at least 2`);
  const usual = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  const name = context.longest > original ? "long_factor" : "short_factor";
  const factors = given.json[name];
  const right = (value: unknown) => typeof value === "number" && value > 1e-6 && value < 1e6;
  if (!Array.isArray(factors) || factors.length !== plain.length || !factors.every(right))
    given.fail(name, `a list of ${plain.length} numbers above 0`);
  return {
    frequencies: plain.map((frequency, j) => frequency / (factors as number[])[j]!),
    factor: attentionFactor(given, usual),
  };
};
