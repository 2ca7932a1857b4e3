// Whether a dispatch sees what the one before it wrote, all workgroups of it: each adds its neighbour's number.
@group(0) @binding(0) var<storage, read_write> result: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let n = 1024u;
  let turn = result[2u * n + id.x];  // each invocation counts the dispatches for itself
  let from_half = (turn % 2u) * n;
  let to_half = n - from_half;
  result[to_half + id.x] = result[from_half + (id.x + 65u) % n] + 1u;
  result[2u * n + id.x] = turn + 1u;
}
