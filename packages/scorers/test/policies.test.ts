import { keydiff, knorm, tova } from "@ziggurat/scorers";
import { testPolicy } from "@ziggurat/testing";

testPolicy(tova({ keep: 12 }));
testPolicy(knorm({ keep: 12 }));
testPolicy(keydiff({ keep: 12 }));
