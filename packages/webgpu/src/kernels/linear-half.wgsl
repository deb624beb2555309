// linear: conversion to f16 ahead of linear-matrix.wgsl, one thread for each eight numbers: of x, bounded to the range
// of f16, or of the weights of a part, if WEIGHT is set.
#include grid
fn packed(a: vec4f, b: vec4f) -> vec4<u32> {
  return vec4<u32>(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
}

#if WEIGHT
#include weight-quad
fn piece_of(item: u32) -> vec4<u32> {
  let pieces = u.width / 8u;
  let row = item / pieces;
  let quad = 2u * (item % pieces);
  return packed(weight_quad(row, quad), weight_quad(row, quad + 1u));
}
#else
fn bounded(x: vec4f) -> vec4f {
  return clamp(x, vec4f(-65504.0), vec4f(65504.0));
}

fn piece_of(item: u32) -> vec4<u32> {
  return packed(bounded($x[2u * item]), bounded($x[2u * item + 1u]));
}
#endif

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let item = item_of(group, groups, local);
  if item < u.items {
    $halves[item] = piece_of(item);
  }
}
