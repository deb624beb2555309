// through: a workgroup for 64 rows of one head. Tiles of x G, 64 rows x 64 columns with 16 steps of the sum in shared
// memory at a time, are multiplied with x where they are made: thread (tx, ty) has rows 4 ty + r and columns tx + 16 c.
// The sums over tx meet in order at the end.
var<workgroup> rows_part: array<f32, 1088>;
var<workgroup> gram_part: array<f32, 1024>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = group.y + group.z * 65535u + u.first_head;
  if head >= u.heads {
    return;
  }
  let first = group.x * 64u;
  let length = min(u32(max($length[head / u.group], 0i)), u.capacity);
  let x = (head / u.repeat) * u.capacity;
  let gram = (head % u.share) * u.size;
  let tx = local % 16u;
  let ty = local / 16u;
  var squares = vec4f();
  for (var column = 0u; column < u.size; column += 64u) {
    var sums = array<vec4f, 4>();
    for (var step = 0u; step < u.size; step += 16u) {
      workgroupBarrier();
      for (var i = local; i < 1024u; i += 256u) {
        let row = first + i / 16u;
        let k = step + i % 16u;
        var value = 0.0;
        if row < length && k < u.size {
          value = $x[(x + row) * u.size + k];
        }
        rows_part[(i / 16u) * 17u + i % 16u] = value;
        let c = column + i % 64u;
        let line = step + i / 64u;
        var g = 0.0;
        if c < u.size && line < u.size {
          g = $gram[(gram + line) * u.size + c];
        }
        gram_part[i] = g;
      }
      workgroupBarrier();
      for (var k = 0u; k < 16u; k++) {
        let g = vec4f(
          gram_part[k * 64u + tx],
          gram_part[k * 64u + tx + 16u],
          gram_part[k * 64u + tx + 32u],
          gram_part[k * 64u + tx + 48u],
        );
        for (var r = 0u; r < 4u; r++) {
          sums[r] += rows_part[(4u * ty + r) * 17u + k] * g;
        }
      }
    }
    for (var r = 0u; r < 4u; r++) {
      let row = first + 4u * ty + r;
      for (var c = 0u; c < 4u; c++) {
        let at = column + tx + 16u * c;
        if row < length && at < u.size {
          squares[r] += sums[r][c] * $x[(x + row) * u.size + at];
        }
      }
    }
  }
  workgroupBarrier();
  for (var r = 0u; r < 4u; r++) {
    rows_part[(4u * ty + r) * 17u + tx] = squares[r];
  }
  workgroupBarrier();
  if local < 64u && first + local < u.capacity {
    var square = 0.0;
    for (var t = 0u; t < 16u; t++) {
      square += rows_part[local * 17u + t];
    }
    $out[head * u.capacity + first + local] = sqrt(max(square, 0.0));
  }
}
