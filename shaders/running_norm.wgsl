// RunningNorm over D features: centred by a running mean (a constant in backward), scaled to unit root mean square.
//   mean_update  mean += max(1/1000, 1/(count+1)) (sum of share x over the streams - mean)
//   forward      y = (x - mean) / scale, scale = sqrt(average((x - mean)^2) + EPSILON)
//   backward     dx = (dy - average(dy y) y) / scale, 0 where average((x - mean)^2) < EPSILON
// Places: x, y, dy, dx (D) and scale, share (1) in work; mean (D) and count (1) in params.
// Dispatch: one workgroup a stream; the mean's update one workgroup in all. Workgroup memory: 4 bytes a lane.
@group(0) @binding(1) var<storage, read_write> params: array<f32>;
@group(0) @binding(2) var<storage, read_write> work: array<f32>;
const WG: u32 = 64u;
const STREAMS: u32 = 1u;
const STREAM: u32 = 0u;
const EPSILON: f32 = 1e-4;
const FAINT: f32 = 0.0141421356;  // sqrt(2 EPSILON)
const SLOWEST: f32 = 0.001;
var<private> lane: u32;
var<workgroup> scratch: array<f32, WG>;

// The sum of the values of each run of `span` lanes (a power of two), given to every lane of it.
fn span_sum(value: f32, span: u32) -> f32 {
  if (span == 1u) { return value; }
  scratch[lane] = value;
  for (var half = span / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane % span < half) { scratch[lane] += scratch[lane + half]; }
  }
  workgroupBarrier();
  let total = scratch[lane - lane % span];
  workgroupBarrier();
  return total;
}

fn running_mean_update(x: u32, share: u32, mean: u32, count: u32, D: u32) {
  let seen = params[count];
  let rate = max(SLOWEST, 1.0 / (seen + 1.0));
  for (var i = lane; i < D; i += WG) {
    let first = work[x + i];  // as seen from it, so that copies of a stream give that stream to the bit
    var sum = 0.0;
    for (var s = 1u; s < STREAMS; s++) { sum += work[share + s * STREAM] * (work[x + s * STREAM + i] - first); }
    params[mean + i] += rate * (first + sum - params[mean + i]);
  }
  storageBarrier();
  workgroupBarrier();  // every lane has read the count before it moves
  if (lane == 0u) { params[count] = min(seen + 1.0, 1.0 / SLOWEST); }
}

fn running_norm_forward(x: u32, mean: u32, y: u32, scale: u32, D: u32) {
  var sum = 0.0;
  for (var i = lane; i < D; i += WG) {
    let centred = work[x + i] - params[mean + i];
    sum += centred * centred;
  }
  let root = sqrt(span_sum(sum, WG) / f32(D) + EPSILON);
  for (var i = lane; i < D; i += WG) { work[y + i] = (work[x + i] - params[mean + i]) / root; }
  if (lane == 0u) { work[scale] = root; }
}

fn running_norm_backward(dy: u32, y: u32, scale: u32, dx: u32, D: u32) {
  var sum = 0.0;
  for (var i = lane; i < D; i += WG) { sum += work[dy + i] * work[y + i]; }
  let along = span_sum(sum, WG) / f32(D);
  let root = work[scale];
  let faint = root < FAINT;
  for (var i = lane; i < D; i += WG) { work[dx + i] = select((work[dy + i] - along * work[y + i]) / root, 0.0, faint); }
}
