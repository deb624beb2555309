// Items beyond 65535 workgroups go on in the next row of workgroups.
fn item_of(group: vec3u, groups: vec3u, local: u32) -> u32 {
  return (group.y * groups.x + group.x) * 256u + local;
}
