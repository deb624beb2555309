export { file, folder } from "./files/folder.js";
export { hub } from "./files/hub.js";
export type { HubOptions } from "./files/hub-repository.js";
export { namedFiles } from "./files/named-files.js";
