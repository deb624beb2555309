import { keepAsText, makePolicy, parseKeep, parsePolicies, parsePolicy, policies, rowsOf } from "@ziggurat/policies";
import { PolicyError } from "@ziggurat/policy";
import { describe, expect, it } from "vitest";

describe("a budget", () => {
  it.each([
    ["128", { rows: 128 }],
    ["1", { rows: 1 }],
    ["12%", { share: 0.12 }],
    ["0.5%", { share: 0.005 }],
    ["100%", { share: 1 }],
  ])("%s", (text, keep) => {
    expect(parseKeep("--keep", text)).toEqual(keep);
    expect(keepAsText(keep)).toBe(text);
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
    expect(() => parseKeep("--keep", text)).toThrow(PolicyError);
    expect(() => parseKeep("--keep", text)).toThrow(message);
  });
});

describe("a share in rows", () => {
  const rows = (text: string, share: number, tokens: number) => {
    const { listed, options } = parsePolicy(text);
    return rowsOf({ share }, tokens, listed, options);
  };

  it.each<readonly [string, number, number, number]>([
    ["snapkv", 0.12, 4096, 492],
    ["h2o", 0.12, 4096, 492],
    // The nearest row.
    ["h2o", 0.5, 5, 3],
    // Never fewer than the policy accepts: a short prompt is no error.
    ["snapkv", 0.12, 120, 33],
    ["pyramidkv", 0.12, 120, 33],
    ["snapkv:window=8", 0.12, 50, 9],
    ["snapkv:window=8", 0.12, 100, 12],
    ["streaming", 0.12, 10, 5],
    ["sinks:sinks=0", 0.01, 10, 1],
    ["h2o:recent=20", 0.12, 100, 20],
    ["random", 0.01, 10, 1],
  ])("%s at %d of %i tokens: %i rows", (text, share, tokens, expected) => {
    expect(rows(text, share, tokens)).toBe(expected);
    // The policy accepts them.
    const spec = { ...parsePolicy(text), keep: { share } };
    expect(makePolicy(spec, tokens).keep).toBe(expected);
  });

  it("leaves a number of rows as it is, also if the policy refuses it", () => {
    expect(rowsOf({ rows: 20 }, 4096, parsePolicy("snapkv").listed)).toBe(20);
    expect(() => makePolicy(parsePolicy("snapkv:keep=20"), 4096)).toThrow(
      "snapkv: keep is 20; it must be more than window, 32",
    );
  });
});

describe("a policy", () => {
  it("has a name and options", () => {
    const { listed, keep, options } = parsePolicy("snapkv:keep=12%,window=16,pooling=average");
    expect({ name: listed.name, keep, options }).toEqual({
      name: "snapkv",
      keep: { share: 0.12 },
      options: { window: 16, pooling: "average" },
    });
  });

  it.each([
    ["snap", `there is no policy "snap"; there are ${policies.map(({ name }) => name).join(", ")}`],
    ["toString", "there is no policy"],
    ["", "there is no policy"],
    ["snapkv:windw=3", 'snapkv: no option is called "windw"; there are keep, window, kernel, pooling, reduce'],
    ["snapkv:toString=3", 'snapkv: no option is called "toString"'],
    ["full:keep=3", 'full: no option is called "keep"; there are none'],
    ["h2o:recent", 'h2o: "recent" is no option; write h2o:keep=value'],
    ["h2o:recent=", "is no option"],
    ["h2o:=3", "is no option"],
    ["h2o: =3", "is no option"],
    ["h2o:recent=ten", 'h2o: recent is "ten"; it must be a number'],
    ["h2o:keep=0", "h2o: keep is 0; it must be"],
    ["snapkv:kernel=4", "snapkv: kernel is 4; it must be odd"],
    ["snapkv:window=0", "snapkv: window is 0; it must be a whole number of at least 1"],
    ["snapkv:window=1.5", "snapkv: window is 1.5; it must be a whole number of at least 1"],
    ["snapkv:pooling=median", 'snapkv: pooling is "median"; it must be "average" or "max"'],
    ["pyramidkv:beta=0.5", "pyramidkv: beta is 0.5; it must be a finite number of at least 1"],
    ["random:seed=-1", "random: seed is -1; it must be a whole number of at least 0"],
    ["h2o:keep=1,keep=2", "h2o: keep is given twice; give it once"],
    ["h2o:keep=12%,recent=4,recent=5", "h2o: recent is given twice; give it once"],
  ])("refuses %s", (text, message) => {
    expect(() => parsePolicy(text)).toThrow(PolicyError);
    expect(() => parsePolicy(text)).toThrow(message);
  });

  it.each(policies)("$name makes itself, and has its own name", (listed) => {
    const made = makePolicy({ listed, options: {}, keep: { share: 0.5 } }, 200);
    expect(made.keep).toBe("keep" in listed.options.declared ? 100 : undefined);
    expect(made.budget).toBe("keep" in listed.options.declared ? "50%" : "");
    expect(made.policy.name).toMatch(new RegExp(`^${listed.name}`));
    expect(made.policy.name).toBe(listed.name === "full" ? "full" : listed.options.policy);
  });

  it("passes its options on", () => {
    const { policy } = makePolicy(parsePolicy("snapkv:keep=64,window=16"), 1000);
    expect([policy.score.watch, policy.protect.count(1000)]).toEqual([16, 16]);
    expect(() => makePolicy(parsePolicy("sinks:keep=100,sinks=200"), 1000)).toThrow(
      "sinksAndRecent: keep is 100; it must be more than sinks, 200",
    );
  });

  it("wants to know how many rows", () => {
    expect(() => makePolicy(parsePolicy("h2o"), 1000)).toThrow(
      "h2o: how many rows? Write h2o:keep=256, or h2o:keep=12%",
    );
  });
});

describe("a list of policies", () => {
  it("gives an option to the policy before it", () => {
    const specs = parsePolicies("full,snapkv:keep=64,window=16,h2o,recent=5");
    expect(specs.map(({ listed, keep, options }) => [listed.name, keep, options])).toEqual([
      ["full", undefined, {}],
      ["snapkv", { rows: 64 }, { window: 16 }],
      ["h2o", undefined, { recent: 5 }],
    ]);
    expect(() => parsePolicies("window=16,h2o")).toThrow('there is no policy "window=16"');
  });
});
