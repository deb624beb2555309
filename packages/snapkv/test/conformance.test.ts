import { snapkv } from "@ziggurat/snapkv";
import { testPolicy } from "@ziggurat/testing";

testPolicy(snapkv({ keep: 24, window: 6, kernel: 5 }));
testPolicy({
  ...snapkv({ keep: 24, window: 6, kernel: 3, pooling: "average", reduce: "max" }),
  name: "snapkv, averages",
});
