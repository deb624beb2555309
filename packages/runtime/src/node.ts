export { file, folder } from "./folder.js";
export { type HubOptions, hub } from "./hub.js";
export { namedFiles } from "./named-files.js";
