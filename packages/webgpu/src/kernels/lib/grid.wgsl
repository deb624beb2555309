// The number of a thread in a grid whose workgroups are in rows of at most 65535.
fn item_of(group: vec3u, groups: vec3u, local: u32) -> u32 {
  return (group.y * groups.x + group.x) * 256u + local;
}
