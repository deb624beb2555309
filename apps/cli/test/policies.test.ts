import { keepAsText, parsePolicies, policies } from "@ziggurat/policies";
import { PolicyError } from "@ziggurat/policy";
import { describe, expect, it } from "vitest";
import { UsageError } from "../src/error.js";
import { onePolicy, policiesOf, sharedFlags, withKeeps, withShared } from "../src/policies.js";

describe("a list of policies", () => {
  it("shares flags among those that know them, after their own", () => {
    const specs = withShared(parsePolicies("h2o,snapkv,pyramidkv:window=8"), { window: 16 });
    expect(specs.map(({ options }) => options)).toEqual([{}, { window: 16 }, { window: 8 }]);
    expect(() => withShared(parsePolicies("h2o,full"), { window: 16 })).toThrow(UsageError);
    expect(() => withShared(parsePolicies("h2o,full"), { window: 16 })).toThrow(
      /^--window is for snapkv, pyramidkv\b.*; none of those is among the policies$/,
    );
    expect(() => withShared(parsePolicies("h2o,snapkv"), { kernel: 4 })).toThrow(PolicyError);
    expect(() => withShared(parsePolicies("h2o,snapkv"), { kernel: 4 })).toThrow("snapkv: kernel is 4; it must be odd");
  });

  it("runs every policy at every budget, full once", () => {
    const specs = withKeeps(parsePolicies("full,h2o,snapkv:keep=9"), [{ share: 0.12 }, { rows: 128 }]);
    expect(specs.map(({ listed, keep }) => [listed.name, keep && keepAsText(keep)])).toEqual([
      ["full", undefined],
      ["h2o", "12%"],
      ["snapkv", "9"],
      ["h2o", "128"],
    ]);
  });

  it("takes --policy and --keep, or the usual ones", () => {
    const named = (flags: Record<string, unknown>) =>
      policiesOf(flags, { policy: "full,h2o", keep: "12%" }).map(
        ({ listed, keep }) => listed.name + (keep ? ` ${keepAsText(keep)}` : ""),
      );
    expect(named({})).toEqual(["full", "h2o 12%"]);
    expect(named({ keep: "5,6%" })).toEqual(["full", "h2o 5", "h2o 6%"]);
    expect(named({ policy: "snapkv" })).toEqual(["snapkv 12%"]);
    expect(() => named({ policy: "full,h2o:keep=3", keep: "5" })).toThrow("--keep is for policies without a budget");
    expect(() => named({ keep: "many" })).toThrow('--keep is "many"; it must be');
  });

  it("is one policy if a command runs one", () => {
    expect(onePolicy("generate", {}).listed.name).toBe("full");
    expect(onePolicy("generate", { policy: "h2o", keep: "9" }).keep).toEqual({ rows: 9 });
    for (const flags of [{ policy: "full,h2o" }, { policy: "h2o", keep: "8,9" }])
      expect(() => onePolicy("chat", flags)).toThrow(
        "--policy and --keep name 2 policies; chat takes one: to compare several, use compare",
      );
  });
});

it("there is a flag for every declared option but those whose names are taken", () => {
  const declared = policies.flatMap(({ name, options }) =>
    Object.keys(options.declared).map((option) => [option, name] as const),
  );
  for (const [option, policy] of declared) {
    const takers = sharedFlags.find(({ name }) => name === option)?.takers ?? [];
    expect(takers.includes(policy), `${option} of ${policy}`).toBe(option !== "keep" && option !== "seed");
  }
  expect(sharedFlags.flatMap(({ takers }) => takers)).toHaveLength(
    declared.filter(([option]) => option !== "keep" && option !== "seed").length,
  );
  const about = Object.fromEntries(sharedFlags.map((flag) => [flag.name, flag.about]));
  expect(about.window).toMatch(/^snapkv, pyramidkv\b.*: newest queries that vote, whose own rows stay \(default 32\)/);
  expect(about.recent).toContain("h2o: newest rows that stay (default half of keep)");
  expect(about.recent).toContain("random: newest rows that stay (default 32, or half of keep if less)");
});
