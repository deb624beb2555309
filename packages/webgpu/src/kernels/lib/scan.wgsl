// The sum over the threads before this one, and the sum over all threads. Every thread must call.
var<workgroup> scanned: array<u32, 256>;
fn before_and_all(x: u32, local: u32) -> vec2u {
  scanned[local] = x;
  workgroupBarrier();
  for (var step = 1u; step < 256u; step *= 2u) {
    var lower = 0u;
    if local >= step {
      lower = scanned[local - step];
    }
    workgroupBarrier();
    scanned[local] += lower;
    workgroupBarrier();
  }
  let result = vec2u(scanned[local] - x, scanned[255]);
  workgroupBarrier();
  return result;
}
