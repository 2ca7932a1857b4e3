// How many loop iterations an invocation really goes through, in one loop and in two. Some drivers stop without a word.
@group(0) @binding(0) var<storage, read_write> result: array<u32>;

@compute @workgroup_size(1)
fn main() {
  var turns = 0u;
  for (var i = 0u; i < 30000u; i++) { turns += select(0u, 1u, (i ^ turns) < 0xfffffff0u); }
  result[0] = turns;
  for (var i = 0u; i < 30000u; i++) { turns += select(0u, 1u, (i ^ turns) < 0xfffffff0u); }
  result[1] = turns;
  for (var i = 0u; i < 200000u; i++) { turns += select(0u, 1u, (i ^ turns) < 0xfffffff0u); }
  result[2] = turns;
}
