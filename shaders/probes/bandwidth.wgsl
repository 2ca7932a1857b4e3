// Copies the first half of the weights into the second half: how fast memory is read and written.
// As much as a small model touches in a step, so that it lies in caches here as there.
// Places: weights (2 * HALF vec4). Dispatch: HALF / (WG * EACH) workgroups. Workgroup memory: none.
@group(0) @binding(0) var<storage, read_write> weights: array<vec4<f32>>;
const WG: u32 = 64u;
const HALF: u32 = 32768u;
const EACH: u32 = 16u;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) id: vec3<u32>) {
  let first = id.x * WG * EACH + lane;
  for (var n = 0u; n < EACH; n++) {
    let at = first + n * WG;
    if (at < HALF) { weights[HALF + at] = weights[at]; }
  }
}
