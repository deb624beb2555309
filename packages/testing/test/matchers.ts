import { toBeAllclose } from "@ziggurat/testing";
import { expect } from "vitest";

expect.extend({ toBeAllclose });
