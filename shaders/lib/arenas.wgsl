// What all shaders share: the arenas, what a kernel is made for, and which invocation of the workgroup runs.
// Arenas: weights (matrices, rows padded to quads), params (other parameters), work (floats of the streams), lists (whole numbers of
// the streams); kernels/arenas.py lays them out. `compose` sets WG, STREAMS, STREAM and LISTS for each kernel; the values here let a
// file compile by itself.
@group(0) @binding(0) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> params: array<f32>;
@group(0) @binding(2) var<storage, read_write> work: array<f32>;
@group(0) @binding(3) var<storage, read_write> lists: array<u32>;
const WG: u32 = 64u;       // lanes: invocations of a workgroup
const STREAMS: u32 = 1u;   // of a model
const STREAM: u32 = 0u;    // from a tensor of a stream to that of the next, in work
const LISTS: u32 = 0u;     // likewise, in lists
const MANY: u32 = 4u;      // so many streams, and dense work goes by tiles
const EPSILON: f32 = 1e-4; // under every root of the model
const FAINT: f32 = 0.0141421356; // sqrt(2 EPSILON): a root below it is of a vector that EPSILON outweighs
var<private> lane: u32;

fn work4(at: u32) -> vec4<f32> {
  return vec4<f32>(work[at], work[at + 1u], work[at + 2u], work[at + 3u]);
}

fn put4(at: u32, v: vec4<f32>) {
  work[at] = v.x;
  work[at + 1u] = v.y;
  work[at + 2u] = v.z;
  work[at + 3u] = v.w;
}

fn params4(at: u32) -> vec4<f32> {
  return vec4<f32>(params[at], params[at + 1u], params[at + 2u], params[at + 3u]);
}

fn put_params4(at: u32, v: vec4<f32>) {
  params[at] = v.x;
  params[at + 1u] = v.y;
  params[at + 2u] = v.z;
  params[at + 3u] = v.w;
}

// The room of a tensor of n elements: so far it is from position to position of a map.
fn room_of(n: u32) -> u32 {
  return (n + 3u) / 4u * 4u;
}
