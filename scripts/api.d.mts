/** The text of every file in docs/api, by package. Throws if a package is not built. */
export declare function apiTexts(): ReadonlyMap<string, string>;
