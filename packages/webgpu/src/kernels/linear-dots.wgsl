// linear: few rows by quantised weights. x is converted to bytes, 32 numbers at a time with one scale, and teams of
// threads multiply four bytes at a time (DP4A), a block and the one LANES further on at once. NORMALISED: x is normalised
// (rmsNorm) before it is converted.
//
// LOCAL: every workgroup converts the FEW rows of x, up to CAPACITY blocks, in workgroup memory, and then computes TEAMS
// OUTS results in each of u.turns turns. That is faster than a dispatch more. Otherwise there are two dispatches:
// QUANTISE, the first, has one thread for each block, or with NORMALISED one workgroup for each row, and stores 48 bytes
// for each [row, block]: 16 bytes of numbers, 16 more, and the scale and the scaled sum as f32.
#if CONVERTS
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
  let low = vec4u(pack4xI8(bytes0), pack4xI8(bytes1), pack4xI8(bytes2), pack4xI8(bytes3));
  let high = vec4u(pack4xI8(bytes4), pack4xI8(bytes5), pack4xI8(bytes6), pack4xI8(bytes7));
#if LOCAL
  quants[2u * block] = low;
  quants[2u * block + 1u] = high;
  factors[block] = vec2f(scale, scale * f32(sum));
#else
  $bytes[3u * block] = low;
  $bytes[3u * block + 1u] = high;
  $bytes[3u * block + 2u] = vec4u(bitcast<u32>(scale), bitcast<u32>(scale * f32(sum)), 0u, 0u);
#endif
}
#endif

#if QUANTISE
#if NORMALISED
const THREADS = 256u;
#include reduce
#include normalise
@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  normalise(group.x, local, true);
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
#if LOCAL
var<workgroup> quants: array<vec4<u32>, 2u * CAPACITY>;
// Of each block: the scale, and the scaled sum.
var<workgroup> factors: array<vec2f, CAPACITY>;
#if NORMALISED
#include reduce
#include normalise
#endif
#endif
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
  let first_row = group.z * FEW;
  let blocks = u.width / 32u;
  let workgroup = group.y * groups.x + group.x;
#if LOCAL
#if NORMALISED
  // One workgroup also stores the normalised x.
#repeat r FEW
  normalise({r}u, local, workgroup == 0u);
#end
#else
  for (var block = local; block < FEW * blocks; block += THREADS) {
#repeat q 8
    let x{q} = $x[8u * block + {q}u];
#end
    quantise(block, array<vec4f, 8>(x0, x1, x2, x3, x4, x5, x6, x7));
  }
#endif
  workgroupBarrier();
#endif
  for (var turn = 0u; turn < u.turns; turn++) {
    let first = ((turn * groups.x * groups.y + workgroup) * TEAMS + local / LANES) * OUTS;
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
#if LOCAL
        let at{k} = {r}u * blocks + block{k};
        let x_low{k} = quants[2u * at{k}];
        let x_high{k} = quants[2u * at{k} + 1u];
        let x_scale{k} = factors[at{k}];
#else
        let at{k} = 3u * (min(first_row + {r}u, u.rows - 1u) * blocks + block{k});
        let x_low{k} = $bytes[at{k}];
        let x_high{k} = $bytes[at{k} + 1u];
        let x_scale{k} = bitcast<vec2f>($bytes[at{k} + 2u].xy);
#endif
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
#if LOCAL
    workgroupBarrier();
#endif
  }
}
#endif
