import { h2o } from "@ziggurat/h2o";
import { testPolicy } from "@ziggurat/testing";

testPolicy(h2o({ keep: 12, recent: 4 }));
