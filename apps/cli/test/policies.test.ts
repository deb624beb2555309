import { PolicyError } from "@ziggurat/policy";
import { describe, expect, it } from "vitest";
import { UsageError } from "../src/error.js";
import {
  makePolicy,
  parseKeep,
  parsePolicies,
  parsePolicy,
  policyKinds,
  showKeep,
  withKeeps,
  withShared,
} from "../src/policies.js";

describe("a budget", () => {
  it.each([
    ["128", { rows: 128 }],
    ["1", { rows: 1 }],
    ["12%", { share: 0.12 }],
    ["0.5%", { share: 0.005 }],
    ["100%", { share: 1 }],
  ])("%s", (text, keep) => {
    expect(parseKeep("--keep", text)).toEqual(keep);
    expect(showKeep(keep)).toBe(text);
  });

  it.each([
    ["0", "--keep is 0; it must be a whole number of rows of at least 1"],
    ["-3", "--keep is -3; it must be"],
    ["12.5", "--keep is 12.5; it must be a whole number"],
    ["NaN", '--keep is "NaN"; it must be a whole number of rows of at least 1, or a share'],
    ["Infinity", '--keep is "Infinity"; it must be'],
    ["", '--keep is ""; it must be'],
    ["1e400", "it must be"],
    ["0x10", "it must be"],
    ["0%", "above 0% and at most 100%"],
    ["120%", "above 0% and at most 100%"],
    ["x%", "it must be a whole number"],
    ["0.12", "for a share of the prompt write 12%"],
  ])("refuses %s", (text, message) => {
    expect(() => parseKeep("--keep", text)).toThrow(UsageError);
    expect(() => parseKeep("--keep", text)).toThrow(message);
  });
});

describe("a policy", () => {
  it("has a name and options of its own", () => {
    const { name, keep, options } = parsePolicy("snapkv:keep=12%,window=16,pooling=average");
    expect({ name, keep, options }).toEqual({
      name: "snapkv",
      keep: { share: 0.12 },
      options: { window: 16, pooling: "average" },
    });
  });

  it.each([
    ["snap", 'there is no policy "snap"; there are full, streaming, h2o, snapkv, pyramidkv, random, sinks'],
    ["toString", "there is no policy"],
    ["", "there is no policy"],
    ["snapkv:windw=3", 'snapkv: no option is called "windw"; there are keep, window, kernel, pooling, reduce'],
    ["full:keep=3", 'full: no option is called "keep"; there are none'],
    ["h2o:recent", 'h2o: "recent" is no option; write h2o:keep=value'],
    ["h2o:recent=", "is no option"],
    ["h2o:=3", "is no option"],
    ["h2o:recent=ten", 'h2o: recent is "ten"; it must be a number'],
    ["h2o:keep=0", "h2o: keep is 0; it must be"],
  ])("refuses %s", (text, message) => {
    expect(() => parsePolicy(text)).toThrow(UsageError);
    expect(() => parsePolicy(text)).toThrow(message);
  });

  it.each(Object.keys(policyKinds))("%s makes itself, and says the name of its package's policy", (name) => {
    const made = makePolicy({ ...parsePolicy(name), keep: { share: 0.5 } }, 200);
    expect(made.keep).toBe(policyKinds[name]!.keeps ? 100 : undefined);
    expect(made.policy.name).toMatch(new RegExp(`^${name}`));
  });

  it.each([
    "snapkv:kernel=4",
    "snapkv:window=0",
    "snapkv:window=1.5",
    "snapkv:pooling=median",
    "pyramidkv:beta=0.5",
    "random:seed=-1",
    "sinks:sinks=200",
  ])("%s is refused by the policy itself", (text) =>
    expect(() => makePolicy({ ...parsePolicy(text), keep: { rows: 100 } }, 1000)).toThrow(PolicyError),
  );

  it("wants to know how many rows", () => {
    expect(() => makePolicy(parsePolicy("h2o"), 1000)).toThrow(
      "h2o: how many rows? Write h2o:keep=256, or h2o:keep=12%",
    );
  });
});

describe("a list of policies", () => {
  it("gives an option to the policy before it", () => {
    const specs = parsePolicies("full,snapkv:keep=64,window=16,h2o");
    expect(specs.map(({ name, keep, options }) => [name, keep, options])).toEqual([
      ["full", undefined, {}],
      ["snapkv", { rows: 64 }, { window: 16 }],
      ["h2o", undefined, {}],
    ]);
    expect(() => parsePolicies("window=16,h2o")).toThrow('there is no policy "window=16"');
  });

  it("shares flags among those that know them, after their own", () => {
    const specs = withShared(parsePolicies("h2o,snapkv,pyramidkv:window=8"), { window: 16 });
    expect(specs.map(({ options }) => options)).toEqual([{}, { window: 16 }, { window: 8 }]);
    expect(() => withShared(parsePolicies("h2o,full"), { window: 16 })).toThrow(
      "--window is for snapkv, pyramidkv; none of those is among the policies",
    );
  });

  it("runs every policy at every budget, full once", () => {
    const specs = withKeeps(parsePolicies("full,h2o,snapkv:keep=9"), [{ share: 0.12 }, { rows: 128 }]);
    expect(specs.map(({ name, keep }) => [name, keep && showKeep(keep)])).toEqual([
      ["full", undefined],
      ["h2o", "12%"],
      ["snapkv", "9"],
      ["h2o", "128"],
    ]);
  });
});
