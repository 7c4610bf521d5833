// Numbers of workgroups and threads in grids made by flatGrid() (kernels/wgsl.ts), which may have a second axis.

/** Number of this workgroup, counted through all of them. */
fn flatGroup(group: vec3<u32>, groups: vec3<u32>) -> u32 {
  return group.y * groups.x + group.x;
}
