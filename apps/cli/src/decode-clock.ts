/** Groups of tokens before the timing: the first token comes from the prompt, the next group prepares kernels. */
const untimed = 2;
/** Groups that a median needs. */
const enough = 3;

/**
 * Measures how fast a policy decodes, from tokens that come back in groups. The speed is the median over the groups, so
 * that a pause of the machine and the preparation of kernels do not count.
 */
export class DecodeClock {
  readonly #now: () => number;
  readonly #groups: { readonly tokens: number; readonly seconds: number }[] = [];
  #last: number | undefined;

  /** `now`: the time in milliseconds. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** To be called with the number of tokens of each group as it arrives. */
  group(tokens: number): void {
    const now = this.#now();
    this.#groups.push({ tokens, seconds: this.#last === undefined ? 0 : (now - this.#last) / 1000 });
    this.#last = now;
  }

  /** Tokens per second; undefined if there were too few groups for a median. */
  get tokensPerSecond(): number | undefined {
    const speeds = this.#groups
      .slice(untimed)
      .map(({ tokens, seconds }) => tokens / seconds)
      .sort((a, b) => a - b);
    if (speeds.length < enough) return undefined;
    const middle = speeds.length >> 1;
    return speeds.length % 2 === 1 ? speeds[middle]! : (speeds[middle - 1]! + speeds[middle]!) / 2;
  }
}
