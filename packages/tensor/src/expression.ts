// What turns the tensors of a policy into dispatches. A policy needs none of it.
export { type Allocator, type Bindings, type Compiled, compile } from "./compile.js";
export {
  type Axes,
  asNode,
  type HeadCounts,
  input,
  inputsOf,
  type Node,
  type NodeOp,
  needsTextOrder,
  through,
} from "./graph.js";
