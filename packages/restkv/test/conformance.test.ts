import { restkv } from "@ziggurat/restkv";
import { testPolicy } from "@ziggurat/testing";

testPolicy(restkv({ keep: 24, window: 8, kernel: 3 }));
testPolicy(restkv({ keep: 24, window: 4, alpha: 1 }));
