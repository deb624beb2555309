// linear: out[rows, outs] = x[rows, width] . weight[outs, width]^T, plus bias and residual, for few rows: FEW at a
// time, in each layer of workgroups along z.
//
// LANES threads, a team, read OUTS rows of weights together, 16 bytes of each a load, and load the matching numbers of
// x once for all of them; lib/team-sums.wgsl adds up. A workgroup holds 128 / LANES teams.
// NORM: x is normalised (rmsNorm) as it is read: it is multiplied by the norm's weights, and the result is divided by
// the root of the mean square at the end.
#include team-sums
#if WIDE
#include half
// Numbers 4 q to 4 q + 3 of the CHUNK weights in 16 bytes.
fn quad(bits: vec4<u32>, q: u32) -> vec4f {
#if WEIGHT == f32
  return bitcast<vec4f>(bits);
#endif
#if WEIGHT == f16
  return vec4f(f16_pair(bits[2u * q]), f16_pair(bits[2u * q + 1u]));
#endif
#if WEIGHT == bf16
  return vec4f(bf16_pair(bits[2u * q]), bf16_pair(bits[2u * q + 1u]));
#endif
#if WEIGHT == q8_0
  let word = bits[q];
  return vec4f(bitcast<vec4i>(vec4u(word << 24u, word << 16u, word << 8u, word)) >> vec4u(24u));
#endif
#if NIBBLES
  let word = (bits[q % 4u] >> (q / 4u * 4u)) & 0x0f0f0f0fu;
  return vec4f((vec4u(word) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u));
#endif
}
#else
#include weight
#endif

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let lane = local % LANES;
  let first = ((group.y * groups.x + group.x) * TEAMS + local / LANES) * OUTS;
  let first_row = group.z * FEW;
#if NORM
#repeat r FEW
  var squares{r} = 0.0;
#end
#endif
#repeat o OUTS
  let row{o} = row_of(first, {o}u);
#repeat r FEW
  var sum{o}_{r} = 0.0;
#end
#end
#if WIDE
  let chunks = u.width / CHUNK;
  for (var chunk = lane; chunk < chunks; chunk += LANES) {
#repeat o OUTS
    let weights{o} = $weight[row{o} * chunks + chunk];
#if QUANTISED
    let block{o} = row{o} * (u.width / 32u) + chunk * CHUNK / 32u;
    let scale{o} = f16_pair($scales[block{o} / 2u])[block{o} & 1u];
#if WEIGHT == q4_0
    let low{o} = -8.0 * scale{o};
#endif
#if WEIGHT == q4_1
    let low{o} = f16_pair($minimums[block{o} / 2u])[block{o} & 1u];
#endif
#endif
#end
#repeat r FEW
    {
      let at = (min(first_row + {r}u, u.rows - 1u) * chunks + chunk) * QUADS;
#repeat q QUADS
#if NORM
      let raw{q} = $x[at + {q}u];
      squares{r} += dot(raw{q}, raw{q});
      let x{q} = raw{q} * $norm[chunk * QUADS + {q}u];
#else
      let x{q} = $x[at + {q}u];
#endif
#end
#if NIBBLES
      var all = vec4f();
#repeat q QUADS
      all += x{q};
#end
      let x_sum = dot(all, vec4f(1.0));
#endif
#repeat o OUTS
      {
        var product = 0.0;
#repeat q QUADS
        product += dot(x{q}, quad(weights{o}, {q}u));
#end
#if QUANTISED
        product *= scale{o};
#endif
#if NIBBLES
        product += low{o} * x_sum;
#endif
        sum{o}_{r} += product;
      }
#end
    }
#end
  }
#else
  for (var i = lane; i < u.width; i += LANES) {
#repeat r FEW
    let x{r} = $x[min(first_row + {r}u, u.rows - 1u) * u.width + i];
#end
#repeat o OUTS
    let weight{o} = weight_element(row{o}, i);
#repeat r FEW
    sum{o}_{r} += weight{o} * x{r};
#end
#end
  }
#endif
  finish(
    array<f32, SUMS>(
#repeat o OUTS
#repeat r FEW
      sum{o}_{r},
#end
#end
#if NORM
#repeat r FEW
      squares{r},
#end
#endif
    ),
    local, first, first_row,
  );
#if NORM
  // One workgroup also stores the normalised x.
  if group.x == 0u && group.y == 0u {
    for (var i = local; i < FEW * u.width / 4u; i += THREADS) {
      let r = i / (u.width / 4u);
      if first_row + r < u.rows {
        let at = first_row * (u.width / 4u) + i;
        $normed[at] = $x[at] * (scale_of(r, local) * $norm[i % (u.width / 4u)]);
      }
    }
  }
#endif
}
