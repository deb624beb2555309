/** Target duration of a submission, far below the time after which a system resets the device or a page stutters. */
const targetMilliseconds = 50;

/** Measures how much work a device does in a millisecond, so that submissions can be kept short. */
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

  /** Records that a submission of `work`, submitted at `since` (milliseconds), is done. */
  done(work: number, since: number): void {
    const now = performance.now();
    const spent = Math.max(now - Math.max(since, this.#lastDone), 0.5);
    this.#lastDone = now;
    // A small submission measures overhead and not speed, unless it was slow.
    if (work < this.limit / 8 && spent < targetMilliseconds) return;
    this.#perMillisecond = Math.min(Math.max(work / spent, 1e5), 4 * this.#perMillisecond);
  }
}
