// What becomes of writes and reads beyond the end of a buffer: they must not hurt anybody else's memory.
@group(0) @binding(0) var<storage, read_write> result: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  let length = arrayLength(&result);
  result[length + 64u + lane] = 7u;
  if (lane == 0u) { result[0] = length; }
}
