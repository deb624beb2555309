export {
  type ObservationWindowOptions,
  observationWindow,
  observationWindowOptions,
} from "./observation-window.js";
export { type SnapKVOptions, snapkv, snapkvOptions } from "./snapkv.js";
