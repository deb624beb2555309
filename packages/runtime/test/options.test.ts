import { describe, expect, test } from "vitest";
import { RequestError } from "../src/error.js";
import { checkCallback, checkSignal, knownOptions, type OptionNames } from "../src/options.js";

interface Options {
  readonly backend?: string;
  readonly rows?: string;
}
const names: OptionNames<Options> = { backend: true, rows: true };

describe("option objects", () => {
  test("known names pass, also with the value undefined", () => {
    knownOptions("load", { backend: "cpu" }, names);
    knownOptions("load", { rows: undefined } as object, names as never);
    knownOptions("load", {}, names);
  });

  test("an unknown name is refused together with the names there are", () => {
    const options = { row: "f32" } as Options;
    expect(() => knownOptions("load", options, names)).toThrow(RequestError);
    expect(() => knownOptions("load", options, names)).toThrow(
      'load: no option is called "row"; there are backend, rows',
    );
  });

  test("names of Object.prototype are unknown, too", () => {
    const options = JSON.parse('{"__proto__": 1}') as Options;
    expect(() => knownOptions("load", options, names)).toThrow('no option is called "__proto__"');
    expect(() => knownOptions("load", { toString: 1 } as never, names)).toThrow('no option is called "toString"');
  });

  test.each([null, 5, "cpu", [], true])("options %o are refused", (options) => {
    expect(() => knownOptions("load", options as never, names)).toThrow(
      /^load: the options are .*; they must be an object with backend, rows$/,
    );
  });
});

test("a callback is a function or undefined", () => {
  checkCallback("onPiece", undefined);
  checkCallback("onPiece", () => {});
  for (const wrong of [null, 1, "f", {}])
    expect(() => checkCallback("onPiece", wrong)).toThrow(/^onPiece is .*; it must be a function$/);
});

test("a signal is an AbortSignal or undefined", () => {
  checkSignal(undefined);
  checkSignal(new AbortController().signal);
  for (const wrong of [null, 1, "stop", {}, new AbortController(), new EventTarget()]) {
    expect(() => checkSignal(wrong)).toThrow(RequestError);
    expect(() => checkSignal(wrong)).toThrow(/^signal is .*; it must be an AbortSignal/);
  }
});
