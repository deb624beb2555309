/**
 * How long one submission should last: far below what makes a system think that the device hangs, or a page stutter.
 */
const targetMilliseconds = 50;

/** Learns how much work a device does in a millisecond, so that long sequences of commands are cut into submissions. */
export class Pace {
  #perMillisecond: number;
  #lastDone = 0;

  constructor(software: boolean) {
    this.#perMillisecond = software ? 2e6 : 2e8;
  }

  /** Work after which to submit. */
  get limit(): number {
    return this.#perMillisecond * targetMilliseconds;
  }

  /** Tells of a submission of `work`, handed over at `since` (milliseconds) and now done. */
  done(work: number, since: number): void {
    const now = performance.now();
    const spent = Math.max(now - Math.max(since, this.#lastDone), 0.5);
    this.#lastDone = now;
    // A small submission tells of overhead, not of speed; unless it was slow.
    if (work < this.limit / 8 && spent < targetMilliseconds) return;
    this.#perMillisecond = Math.min(Math.max(work / spent, 1e5), 4 * this.#perMillisecond);
  }
}
