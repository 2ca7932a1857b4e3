// RunningNorm over D features: centred by a running mean (a constant in backward), scaled to unit root mean square.
//   mean_update  mean += max(1/1000, 1/(count+1)) move, move = sum of share x over the streams - mean,
//                times (LIMIT largest / |move|)^2 where |move| > LIMIT largest; extent = [largest, seen]: the largest |move| of late,
//                and how many there were, up to FIRST
//   forward      y = (x - mean) / scale, scale = sqrt(average((x - mean)^2) + EPSILON)
//   backward     dx = (dy - average(dy y) y) / scale, 0 where average((x - mean)^2) < EPSILON
// Places: x, y, dy, dx (D) and scale, share (1) in work; mean (D), count (1) and extent (2) in params.
// Dispatch: one workgroup a stream; the mean's update one workgroup in all. Workgroup memory: 4 bytes a lane.
@group(0) @binding(1) var<storage, read_write> params: array<f32>;
@group(0) @binding(2) var<storage, read_write> work: array<f32>;
const WG: u32 = 64u;
const STREAMS: u32 = 1u;
const STREAM: u32 = 0u;
const EPSILON: f32 = 1e-4;
const FAINT: f32 = 0.0141421356;  // sqrt(2 EPSILON)
const SLOWEST: f32 = 0.001;
const LIMIT: f32 = 8.0;
const GROWTH: f32 = 2.0;
const KEPT: f32 = 0.9999;
const FIRST: f32 = 10.0;
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

// Whether a size counts as an outlier beside the largest of late, of so many seen (up to FIRST).
fn is_outlier(size: f32, largest_of_late: f32, seen: f32) -> bool {
  return size > LIMIT * largest_of_late && seen >= FIRST && largest_of_late > 0.0;
}

fn next_largest(size: f32, largest_of_late: f32, outlying: bool) -> f32 {
  return select(max(size, KEPT * largest_of_late), GROWTH * largest_of_late, outlying);
}

// How far feature i would move the mean, at rate 1.
fn mean_move(x: u32, share: u32, mean: u32, i: u32) -> f32 {
  let first = work[x + i];  // as seen from it, so that copies of a stream give that stream to the bit
  var sum = 0.0;
  for (var s = 1u; s < STREAMS; s++) { sum += work[share + s * STREAM] * (work[x + s * STREAM + i] - first); }
  return first + sum - params[mean + i];
}

fn running_mean_update(x: u32, share: u32, mean: u32, count: u32, extent: u32, D: u32) {
  let seen = params[count];
  let rate = max(SLOWEST, 1.0 / (seen + 1.0));
  var sum = 0.0;
  for (var i = lane; i < D; i += WG) {
    let d = mean_move(x, share, mean, i);
    sum += d * d;
  }
  let size = sqrt(span_sum(sum, WG));
  let before = params[extent];
  let known = params[extent + 1u];
  let outlying = is_outlier(size, before, known);
  let part = LIMIT * before / size;
  let pace = select(rate, rate * part * part, outlying);
  for (var i = lane; i < D; i += WG) { params[mean + i] += pace * mean_move(x, share, mean, i); }
  storageBarrier();
  workgroupBarrier();  // every lane has read count and extent before they move
  if (lane == 0u) {
    params[count] = min(seen + 1.0, 1.0 / SLOWEST);
    params[extent] = next_largest(size, before, outlying);
    params[extent + 1u] = min(known + 1.0, FIRST);
  }
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
