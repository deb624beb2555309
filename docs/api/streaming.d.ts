// Written by `npm run api`. Do not edit.

// @ziggurat/streaming

export type StreamingOptions = OptionsOf<typeof streamingOptions>;

export function streaming(options: StreamingOptions): Policy;

export const streamingOptions: import("@ziggurat/policy").Options<{
  readonly keep: import("@ziggurat/policy").Option<number, false>;
  readonly sinks: import("@ziggurat/policy").Option<number, true>;
}>;
