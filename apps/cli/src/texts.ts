/** Lewis Carroll, Alice's Adventures in Wonderland: the bundled text. The path is the same from src and from dist. */
export const alice = new URL("../texts/alice.txt", import.meta.url);
