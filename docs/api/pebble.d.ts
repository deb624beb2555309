// Written by `npm run api`. Do not edit.

// @ziggurat/pebble

export interface PebbleFile {
  readonly size: number;
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

export interface PebbleFiles {
  readonly name: string;
  open(file: string): Promise<PebbleFile | undefined>;
}

export interface PebbleOptions {
  readonly fetch?: (url: URL) => Promise<Response>;
}

export interface Words {
  readonly train: readonly string[];
  readonly heldout: readonly string[];
}

export function pebble({ fetch }?: PebbleOptions): PebbleFiles;

export function words(): Promise<Words>;
