// linear: few rows by quantised weights, in two dispatches. QUANTISE, the first, converts x to bytes, 32 numbers at a
// time with one scale, a thread for each block. It stores 48 bytes for each [row, block]: 16 bytes of numbers, 16 more,
// and the scale and the scaled sum as f32. In the second, teams of threads multiply four bytes at a time (DP4A), a
// block and the one LANES further on at once. NORM: x is normalised (rmsNorm) first, by one workgroup for each row.
#if QUANTISE
fn quantise(block: u32, x: array<vec4f, 8>) {
  var most = vec4f();
#repeat q 8
  most = max(most, abs(x[{q}]));
#end
  let scale = max(max(most.x, most.y), max(most.z, most.w)) / 127.0;
  let inverse = select(0.0, 1.0 / scale, scale > 0.0);
  var sum = 0;
#repeat q 8
  let bytes{q} = vec4i(round(x[{q}] * inverse));
  sum += bytes{q}.x + bytes{q}.y + bytes{q}.z + bytes{q}.w;
#end
  $bytes[3u * block] = vec4u(pack4xI8(bytes0), pack4xI8(bytes1), pack4xI8(bytes2), pack4xI8(bytes3));
  $bytes[3u * block + 1u] = vec4u(pack4xI8(bytes4), pack4xI8(bytes5), pack4xI8(bytes6), pack4xI8(bytes7));
  $bytes[3u * block + 2u] = vec4u(bitcast<u32>(scale), bitcast<u32>(scale * f32(sum)), 0u, 0u);
}

#if NORM
const THREADS = 256u;
#include reduce
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = group.x * (u.width / 4u);
  var squares = 0.0;
  for (var i = local; i < u.width / 4u; i += THREADS) {
    let x = $x[row + i];
    squares += dot(x, x);
  }
  let scale = 1.0 / sqrt(sum_over_threads(squares, local) / f32(u.width) + u.epsilon);
  for (var block = local; block < u.width / 32u; block += THREADS) {
#repeat q 8
    let x{q} = $x[row + 8u * block + {q}u] * scale * $norm[8u * block + {q}u];
    $normed[row + 8u * block + {q}u] = x{q};
#end
    quantise(row / 8u + block, array<vec4f, 8>(x0, x1, x2, x3, x4, x5, x6, x7));
  }
}
#else
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) thread: vec3u) {
  let block = thread.x;
  if block >= u.blocks {
    return;
  }
#repeat q 8
  let x{q} = $x[8u * block + {q}u];
#end
  quantise(block, array<vec4f, 8>(x0, x1, x2, x3, x4, x5, x6, x7));
}
#endif
#else
#include team-sums
#include half
fn dots(a: vec4<u32>, b: vec4<u32>) -> i32 {
  return dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = local % LANES;
  let first = ((group.y * groups.x + group.x) * TEAMS + local / LANES) * OUTS;
  let first_row = group.z * FEW;
  let blocks = u.width / 32u;
#repeat o OUTS
  let row{o} = row_of(first, {o}u) * blocks;
#repeat r FEW
  var sum{o}_{r} = 0.0;
#end
#end
  for (var block = lane; block < blocks; block += 2u * LANES) {
    let next = min(block + LANES, blocks - 1u);
    let factor0 = 1.0;
    let factor1 = select(0.0, 1.0, block + LANES < blocks);
    let block0 = block;
    let block1 = next;
#repeat o OUTS
#repeat k 2
    let at{o}_{k} = row{o} + block{k};
#if NIBBLES
    let nibbles{o}_{k} = $weight[at{o}_{k}];
    let low{o}_{k} = nibbles{o}_{k} & vec4u(0x0f0f0f0fu);
    let high{o}_{k} = (nibbles{o}_{k} >> vec4u(4u)) & vec4u(0x0f0f0f0fu);
#else
    let low{o}_{k} = $weight[2u * at{o}_{k}];
    let high{o}_{k} = $weight[2u * at{o}_{k} + 1u];
#endif
    let scale{o}_{k} = factor{k} * f16_pair($scales[at{o}_{k} / 2u])[at{o}_{k} & 1u];
#if WEIGHT == q4_0
    let least{o}_{k} = -8.0 * scale{o}_{k};
#endif
#if WEIGHT == q4_1
    let least{o}_{k} = factor{k} * f16_pair($minimums[at{o}_{k} / 2u])[at{o}_{k} & 1u];
#endif
#end
#end
#repeat r FEW
    {
#repeat k 2
      let at{k} = 3u * (min(first_row + {r}u, u.rows - 1u) * blocks + block{k});
      let x_low{k} = $bytes[at{k}];
      let x_high{k} = $bytes[at{k} + 1u];
      let x_scale{k} = bitcast<vec2f>($bytes[at{k} + 2u].xy);
#repeat o OUTS
      sum{o}_{r} += scale{o}_{k} * x_scale{k}.x * f32(dots(low{o}_{k}, x_low{k}) + dots(high{o}_{k}, x_high{k}));
#if NIBBLES
      sum{o}_{r} += least{o}_{k} * x_scale{k}.y;
#endif
#end
#end
    }
#end
  }
  finish(
    array<f32, SUMS>(
#repeat o OUTS
#repeat r FEW
      sum{o}_{r},
#end
#end
    ),
    local, first, first_row,
  );
}
#endif
