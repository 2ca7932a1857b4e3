// Multiplies and adds in registers, eight vec4 side by side: how fast the adapter calculates.
// Places: weights, of which each invocation reads and writes one vec4. Dispatch: any number of workgroups.
// Workgroup memory: none.
@group(0) @binding(0) var<storage, read_write> weights: array<vec4<f32>>;
const WG: u32 = 64u;
const TURNS: u32 = 512u;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) id: vec3<u32>) {
  let at = id.x * WG + lane;
  let factor = weights[at] + vec4<f32>(0.999);
  var a = factor;
  var b = factor + vec4<f32>(0.1);
  var c = factor + vec4<f32>(0.2);
  var d = factor + vec4<f32>(0.3);
  var e = factor + vec4<f32>(0.4);
  var f = factor + vec4<f32>(0.5);
  var g = factor + vec4<f32>(0.6);
  var h = factor + vec4<f32>(0.7);
  for (var n = 0u; n < TURNS; n++) {
    a = fma(a, factor, factor);
    b = fma(b, factor, factor);
    c = fma(c, factor, factor);
    d = fma(d, factor, factor);
    e = fma(e, factor, factor);
    f = fma(f, factor, factor);
    g = fma(g, factor, factor);
    h = fma(h, factor, factor);
  }
  weights[at] = min(a + b + c + d + e + f + g + h, vec4<f32>(1e-6));
}
