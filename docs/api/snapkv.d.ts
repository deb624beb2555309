// Written by `npm run api`. Do not edit.

// @ziggurat/snapkv

export interface ObservationWindowOptions {
  readonly window?: number;
  readonly kernel?: number;
  readonly pooling?: "average" | "max";
  readonly reduce?: GroupReduction;
}

export interface SnapKVOptions extends ObservationWindowOptions {
  readonly keep: number;
}

export function observationWindow(options?: ObservationWindowOptions): Scorer;

export function snapkv(options: SnapKVOptions): Policy;

export function snapkvOptions(policy: string, options: SnapKVOptions): Required<SnapKVOptions>;
