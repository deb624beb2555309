export type {
  Backend,
  BackendInfo,
  Buffer,
  Kernel,
  LabelBytes,
  MemoryReport,
  Program,
  Slice,
} from "./backend.js";
export { Buffers } from "./buffers.js";
export {
  type Access,
  type Catalogue,
  catalogue,
  type OperandRule,
  type Operands,
  type OpName,
  type OpRule,
  operandBytes,
  opNames,
  type Spec,
} from "./catalogue.js";
export { checkOperands, checkSpec, OpError, operandIsUsed } from "./check.js";
export { type Allocator, type Bindings, type Compiled, compile } from "./compile.js";
export {
  blockSize,
  bytesOf,
  type DType,
  elementBytes,
  isQuantised,
  type RowDType,
  rowDTypes,
  type WeightDType,
  type WeightLayout,
  weightDTypes,
  weightLayout,
} from "./dtype.js";
export { BufferError, OutOfMemoryError } from "./error.js";
export {
  asNode,
  type HeadCounts,
  input,
  inputsOf,
  type Node,
  type NodeOp,
  needsTextOrder,
  topological,
} from "./graph.js";
export { fromBFloat16, fromFloat16, toBFloat16, toFloat16 } from "./half.js";
export { Ledger, labelsOf } from "./memory.js";
export { type ReferenceOptions, reference } from "./reference/backend.js";
export { randomUniform } from "./reference/random.js";
export { type Reduction, ShapeError, type Tensor } from "./tensor.js";
