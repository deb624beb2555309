export { file, folder } from "./files/folder.js";
export { type HubOptions, hub } from "./files/hub.js";
export { namedFiles } from "./files/named-files.js";
