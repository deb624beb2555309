import { restkv } from "@ziggurat/restkv";
import { testPolicy } from "@ziggurat/testing";

testPolicy(restkv({ keep: 24, window: 8, kernel: 3 }));
