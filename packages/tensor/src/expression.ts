// What turns the tensors of a policy into dispatches. A policy needs none of it.
export { type Allocator, type Bindings, type Compiled, compile } from "./compile.js";
export { asNode, type HeadCounts, input, inputsOf, type Node, type NodeOp, needsTextOrder } from "./graph.js";
