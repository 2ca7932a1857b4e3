// Whether a workgroup's barrier makes what one invocation wrote visible to the others, in workgroup and in storage memory.
@group(0) @binding(0) var<storage, read_write> result: array<u32>;
var<workgroup> seen: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
  seen[lane] = lane;
  result[256u + lane] = lane;
  for (var turn = 0u; turn < 100u; turn++) {
    storageBarrier();
    workgroupBarrier();
    let there = seen[(lane + 1u) % 256u];
    let stored = result[256u + (lane + 1u) % 256u];
    storageBarrier();
    workgroupBarrier();
    seen[lane] = there + 1u;
    result[256u + lane] = stored + 1u;
  }
  result[lane] = seen[lane] + result[256u + lane];
}
