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
export { BufferTable } from "./buffer-table.js";
export { Buffers } from "./buffers.js";
export {
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
export { type Dispatch, type Fusion, fuse, type Group, joinedAdvances } from "./fusion.js";
export { fromBFloat16, fromFloat16, toBFloat16, toFloat16 } from "./half.js";
export { labelsOf } from "./memory.js";
export { ProgramTable } from "./program-table.js";
export { type ReferenceOptions, reference } from "./reference/backend.js";
export { randomUniform } from "./reference/random.js";
export { type Axis, type Reduction, ShapeError, type Tensor } from "./tensor.js";
