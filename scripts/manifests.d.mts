type Manifest = Record<string, unknown>;
export declare const metadataOf: (address: string, folder: string) => Manifest;
export declare function withMetadata(manifest: Manifest, address: string, folder: string): Manifest;
