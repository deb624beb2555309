import { anyOf, every, first, fraction, full, last, pin, random, sinksAndRecent } from "@ziggurat/policy";
import { testPolicy } from "@ziggurat/testing";

testPolicy(full(), { evicts: false });
testPolicy(random({ keep: 16, seed: 5 }));
testPolicy(sinksAndRecent({ keep: 16 }));
testPolicy({
  ...random({ keep: 16 }),
  name: "pinned, in bursts",
  budget: fraction(0.3),
  protect: anyOf(first(2), pin(20, 25), last(8)),
  schedule: every(3),
});
