// lib: arenas, reduce, outlier
// RunningNorm over D features: centred by a running mean (a constant in backward), scaled to unit root mean square.
//   mean_update  mean += max(1/1000, 1/(count+1)) move, move = (sum of share/X x over the streams and their X positions) - mean,
//                times (LIMIT largest / |move|)^4 where |move| > LIMIT largest; extent = [largest, seen]: the
//                recent maximum of |move|, and how many there were, up to FIRST
//   forward      y = (x - mean) / scale, scale = sqrt(average((x - mean)^2) + EPSILON)
//   backward     dx = (dy - average(dy y) y) / scale, 0 where average((x - mean)^2) < EPSILON
// Storage: x, y, dy, dx (D; in mean_update X positions, each on whole quads) and scale, share (1) in work; mean (D),
// count (1) and extent (2) in params.
// Dispatch: one workgroup a stream; the mean's update one workgroup in all. Workgroup memory: 4 bytes a lane.
const SLOWEST: f32 = 0.001;

// How far feature i would move the mean, at rate 1.
fn mean_move(x: u32, share: u32, mean: u32, i: u32, D: u32, X: u32) -> f32 {
  let first = work[x + i];  // as seen from it, so that copies of a stream give that stream to the bit
  var sum = 0.0;
  for (var r = 1u; r < STREAMS * X; r++) {
    let base = r / X * STREAM;
    sum += work[share + base] / f32(X) * (work[x + base + r % X * room_of(D) + i] - first);
  }
  return first + sum - params[mean + i];
}

fn running_mean_update(x: u32, share: u32, mean: u32, count: u32, extent: u32, D: u32, X: u32) {
  let seen = params[count];
  let rate = max(SLOWEST, 1.0 / (seen + 1.0));
  var sum = 0.0;
  if (STREAMS * X == 1u) {
    for (var i = lane; i < D; i += WG) {
      let d = work[x + i] - params[mean + i];
      sum += d * d;
    }
  } else {
    for (var i = lane; i < D; i += WG) {
      let d = mean_move(x, share, mean, i, D, X);
      sum += d * d;
    }
  }
  let size = sqrt(span_sum(sum, WG));
  let before = params[extent];
  let known = params[extent + 1u];
  let outlying = is_outlier(size, before, known);
  let factor = outlier_factor(size, before);
  let step = select(rate, rate * factor, outlying);
  if (STREAMS * X == 1u) {
    for (var i = lane; i < D; i += WG) { params[mean + i] += step * (work[x + i] - params[mean + i]); }
  } else {
    for (var i = lane; i < D; i += WG) { params[mean + i] += step * mean_move(x, share, mean, i, D, X); }
  }
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
