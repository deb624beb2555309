import { streaming } from "@ziggurat/streaming";
import { testPolicy } from "@ziggurat/testing";

testPolicy(streaming({ keep: 12, sinks: 3 }));
