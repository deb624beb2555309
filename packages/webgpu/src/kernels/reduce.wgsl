// reduce: along one axis of x[d0, d1, d2], seen as [outer, count, inner]. A short axis has one thread for each result,
// which adds in ascending order. LONG: one workgroup for each result. Its threads take every 256th element, and their
// sums are added in a fixed tree, so that the result is the same every time.
#include grid
#include infinity
#if LONG
#include reduce
#endif

fn start() -> f32 {
#if KIND == max
  return -infinity();
#endif
#if KIND == min
  return infinity();
#endif
#if SUM
  return 0.0;
#endif
}

fn along(base: u32, count: u32, first: u32, step: u32) -> f32 {
  var result = start();
  for (var n = first; n < count; n += step) {
    let x = $x[base + n * u.inner];
#if KIND == max
    result = max(result, x);
#endif
#if KIND == min
    result = min(result, x);
#endif
#if KIND == norm
    result += x * x;
#else
#if SUM
    result += x;
#endif
#endif
  }
  return result;
}

fn finished(x: f32, count: u32) -> f32 {
#if KIND == mean
  return x / f32(max(count, 1u));
#else
#if KIND == norm
  return sqrt(x);
#else
  return x;
#endif
#endif
}

fn count_of(outer: u32) -> u32 {
#if RAGGED
  return min(u32(max($length[outer / u.share], 0i)), u.count);
#else
  return u.count;
#endif
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
#if LONG
  let item = group.y * groups.x + group.x;
#else
  let item = item_of(group, groups, local);
#endif
  if item >= u.outer * u.inner {
    return;
  }
  let outer = item / u.inner;
  let count = count_of(outer);
  let base = outer * u.count * u.inner + item % u.inner;
#if LONG
  var result = along(base, count, local, THREADS);
#if KIND == max
  result = max_over_threads(result, local);
#endif
#if KIND == min
  result = -max_over_threads(-result, local);
#endif
#if SUM
  result = sum_over_threads(result, local);
#endif
  if local == 0u {
    $out[item] = finished(result, count);
  }
#else
  $out[item] = finished(along(base, count, 0u, 1u), count);
#endif
}
