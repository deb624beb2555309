import { pyramidkv } from "@ziggurat/pyramid";
import { testPolicy } from "@ziggurat/testing";

testPolicy(pyramidkv({ keep: 24, window: 6, kernel: 5 }));
testPolicy({ ...pyramidkv({ keep: 24, window: 6, kernel: 5, rounding: "released" }), name: "pyramidkv, released" });
