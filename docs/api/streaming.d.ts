// Written by `npm run api`. Do not edit.

// @ziggurat/streaming

export interface StreamingOptions {
  readonly keep: number;
  readonly sinks?: number;
}

export function streaming(options: StreamingOptions): Policy;
