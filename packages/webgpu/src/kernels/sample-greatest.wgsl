// sample: the first dispatch finds the greatest logit of each of PARTS stretches of a sequence's tokens, and the lowest
// id that has it.
const THREADS = 256u;
#include infinity
#include logit
var<workgroup> values: array<f32, THREADS>;
var<workgroup> places: array<u32, THREADS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let sequence = group.y;
  row = sequence * u.vocabulary;
  penalty = $params[sequence * 5u + 4u];
  let stretch = (u.vocabulary + PARTS - 1u) / PARTS;
  let first = group.x * stretch;
  let last = min(first + stretch, u.vocabulary);
  var most = -infinity();
  var best = first;
  for (var id = first + local; id < last; id += THREADS) {
    let x = logit(id);
    if x > most {
      most = x;
      best = id;
    }
  }
  values[local] = most;
  places[local] = best;
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if local < half {
      let other = values[local + half];
      if other > values[local] || (other == values[local] && places[local + half] < places[local]) {
        values[local] = other;
        places[local] = places[local + half];
      }
    }
  }
  if local == 0u {
    $partial[2u * (sequence * PARTS + group.x)] = bitcast<u32>(values[0]);
    $partial[2u * (sequence * PARTS + group.x) + 1u] = places[0];
  }
}
