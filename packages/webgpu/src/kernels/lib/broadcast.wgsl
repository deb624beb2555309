// The index of element `item` of out[d0, d1, d2] in an operand whose axes are as long as out's, or 1.
fn broadcast(item: u32, shape: vec3u) -> u32 {
  let index = vec3u(item / u.d2 / u.d1, item / u.d2 % u.d1, item % u.d2) % shape;
  return (index.x * shape.y + index.y) * shape.z + index.z;
}
