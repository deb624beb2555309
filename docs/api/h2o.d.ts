// Written by `npm run api`. Do not edit.

// @ziggurat/h2o

export interface H2OOptions {
  readonly keep: number;
  readonly recent?: number;
  readonly reduce?: GroupReduction;
}

export function h2o(options: H2OOptions): Policy;

export function heavyHitters(reduce?: GroupReduction): Scorer;
