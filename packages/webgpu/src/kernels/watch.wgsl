// watch: column sums of attention's weights, which follow from its log-sum-exp. Queries are added in ascending order,
// so that the result is the same every time.
//
// FEW: one thread for each (query head, row), which visits the queries: for a few of them, or if keys are rotated as
// they are read. Otherwise a workgroup takes a tile of TILE rows and visits the tiles of queries that see any of them;
// see lib/tile.wgsl. Thread (tx, ty) has queries 4 ty + r and rows tx + SIDE c; the sums over ty are added in order
// after each tile.
#if FEW
#if SLOT
#include rotation keys
#else
#include quad keys
#endif
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let head = group.y + group.z * 65535u + u.first_head;
  if head >= u.sequences * u.query_heads {
    return;
  }
  let sequence = head / u.query_heads;
  let kv_head = sequence * u.kv_heads + head % u.query_heads / (u.query_heads / u.kv_heads);
  let row = group.x * 64u + local;
  let length = u32($length[kv_head]);
  if $ended[sequence] != 0i || row >= length + u.tokens {
    return;
  }
  let at = u32($offset[kv_head]) + row;
  var sum = 0.0;
  for (var i = max(u.first, max(row, length) - length); i < u.tokens; i++) {
    let query = ((sequence * u.tokens + i) * (u.query_heads + 2u * u.kv_heads) + head % u.query_heads) * u.size;
    var x = 0.0;
#if SLOT
    let position = bitcast<i32>($cells[u.arena_rows + at]);
    for (var j = 0u; j < u.size; j++) {
      x += $qkv[query + j] * keys_turned(at, j, position);
    }
#else
    for (var q = 0u; q < QUADS; q++) {
      let k = keys_quad(at, q);
      for (var c = 0u; c < 4u; c++) {
        if 4u * q + c < u.size {
          x += $qkv[query + 4u * q + c] * k[c];
        }
      }
    }
#endif
    sum += exp(capped(u.scale * x) - $lse[head * u.tokens + i]);
  }
  $mass[head * u.capacity + row] += sum;
}
#else
#include tile
#include quad keys
var<workgroup> columns: array<f32, SIDE * TILE>;

fn query_quad(row: u32, q: u32) -> vec4f {
  var quad = vec4f();
  for (var c = 0u; c < 4u; c++) {
    if 4u * q + c < u.size {
      quad[c] = $qkv[row * u.size + 4u * q + c];
    }
  }
  return quad;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) local: u32) {
  let tx = local % SIDE;
  let ty = local / SIDE;
  let head = group.y + group.z * 65535u + u.first_head;
  if head >= u.sequences * u.query_heads {
    return;
  }
  let sequence = head / u.query_heads;
  let kv_head = sequence * u.kv_heads + head % u.query_heads / (u.query_heads / u.kv_heads);
  let first_row = group.x * TILE;
  let length = u32($length[kv_head]);
  let rows = length + u.tokens;
  if $ended[sequence] != 0i || first_row >= rows {
    return;
  }
  let start = u32($offset[kv_head]);
  var mass = 0.0;
  for (var first = max(u.first, max(first_row, length) - length) / TILE * TILE; first < u.tokens; first += TILE) {
    var logits = array<vec4f, 4>();
    for (var q = 0u; q < QUADS; q += 4u) {
      workgroupBarrier();
      for (var i = local; i < 4u * TILE; i += THREADS) {
        let line = i / 4u;
        let column = q + i % 4u;
        var a = vec4f();
        var b = vec4f();
        if column < QUADS {
          if first + line < u.tokens {
            let token = sequence * u.tokens + first + line;
            a = query_quad(token * (u.query_heads + 2u * u.kv_heads) + head % u.query_heads, column);
          }
          if first_row + line < rows {
            b = keys_quad(start + first_row + line, column);
          }
        }
        staged[line * STRIDE + i % 4u] = a;
        staged[RIGHT + line * STRIDE + i % 4u] = b;
      }
      workgroupBarrier();
      multiply_staged(&logits, tx, ty);
    }
    var sums = vec4f();
    for (var r = 0u; r < 4u; r++) {
      let i = first + 4u * ty + r;
      for (var c = 0u; c < 4u; c++) {
        if i >= u.first && i < u.tokens && first_row + tx + SIDE * c <= length + i {
          sums[c] += exp(capped(u.scale * logits[r][c]) - $lse[head * u.tokens + i]);
        }
      }
    }
    for (var c = 0u; c < 4u; c++) {
      columns[ty * TILE + tx + SIDE * c] = sums[c];
    }
    workgroupBarrier();
    if local < TILE {
      for (var t = 0u; t < SIDE; t++) {
        mass += columns[t * TILE + local];
      }
    }
  }
  if local < TILE && first_row + local < rows {
    $mass[head * u.capacity + first_row + local] += mass;
  }
}
#endif

fn capped(x: f32) -> f32 {
  if u.softcap > 0.0 {
    return u.softcap * tanh(clamp(x / u.softcap, -15.0, 15.0));
  }
  return x;
}
