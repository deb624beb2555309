export { type ObservationWindowOptions, observationWindow } from "./observation-window.js";
export { type SnapKVOptions, snapkv, snapkvOptions } from "./snapkv.js";
