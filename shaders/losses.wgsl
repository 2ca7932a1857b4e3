// Losses over D outputs.
//   mse            loss = 1/2 sum (y - target)^2, dy = y - target, times (LIMIT largest / |dy|)^2 where |dy| > LIMIT largest;
//                  extent = [largest, seen]: the largest |dy| of late, and how many there were, up to FIRST
//   softmax        probability = exp(y - max y) / sum
//   cross_entropy  loss = -sum target log probability, dy = probability - target (into what softmax was taken of)
//   sigmoid        probability = 1 / (1 + exp(-y))
//   bce            loss = -sum (target log probability + (1 - target) log(1 - probability)), dy as of cross_entropy
//   ended          dliving = dy where share > 0, else 0
//   surprise       p = 1 - sum probability target
// Places: all in work. Dispatch: one workgroup a stream. Workgroup memory: 4 bytes a lane.
@group(0) @binding(2) var<storage, read_write> work: array<f32>;
const WG: u32 = 64u;
const TINY: f32 = 1.17549435e-38;
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

fn largest(value: f32) -> f32 {
  scratch[lane] = value;
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { scratch[lane] = max(scratch[lane], scratch[lane + half]); }
  }
  workgroupBarrier();
  let top = scratch[0];
  workgroupBarrier();
  return top;
}

fn mse_forward(y: u32, target_at: u32, loss: u32, D: u32) {
  var sum = 0.0;
  for (var i = lane; i < D; i += WG) {
    let d = work[y + i] - work[target_at + i];
    sum += d * d;
  }
  sum = span_sum(sum, WG);
  if (lane == 0u) { work[loss] = 0.5 * sum; }
}

fn mse_backward(y: u32, target_at: u32, extent: u32, dy: u32, D: u32) {
  var sum = 0.0;
  for (var i = lane; i < D; i += WG) {
    let d = work[y + i] - work[target_at + i];
    sum += d * d;
  }
  let size = sqrt(span_sum(sum, WG));
  let before = work[extent];
  let seen = work[extent + 1u];
  let outlying = is_outlier(size, before, seen);
  let part = LIMIT * before / size;
  for (var i = lane; i < D; i += WG) {
    let d = work[y + i] - work[target_at + i];
    work[dy + i] = select(d, d * part * part, outlying);
  }
  storageBarrier();
  workgroupBarrier();  // every lane has read the extent before it moves
  if (lane == 0u) {
    work[extent] = next_largest(size, before, outlying);
    work[extent + 1u] = min(seen + 1.0, FIRST);
  }
}

fn softmax_forward(y: u32, probability: u32, D: u32) {
  var top = -3e38;
  for (var i = lane; i < D; i += WG) { top = max(top, work[y + i]); }
  top = largest(top);
  var sum = 0.0;
  for (var i = lane; i < D; i += WG) {
    let e = exp(work[y + i] - top);
    work[probability + i] = e;
    sum += e;
  }
  sum = span_sum(sum, WG);
  for (var i = lane; i < D; i += WG) { work[probability + i] /= sum; }
}

fn cross_entropy_forward(probability: u32, target_at: u32, loss: u32, D: u32) {
  var sum = 0.0;
  for (var i = lane; i < D; i += WG) {
    let p = work[probability + i];
    sum -= work[target_at + i] * log(select(p, TINY, p < TINY));  // NaN stays NaN
  }
  sum = span_sum(sum, WG);
  if (lane == 0u) { work[loss] = sum; }
}

fn cross_entropy_backward(probability: u32, target_at: u32, dy: u32, D: u32) {
  for (var i = lane; i < D; i += WG) { work[dy + i] = work[probability + i] - work[target_at + i]; }
}

fn sigmoid_forward(y: u32, probability: u32, D: u32) {
  for (var i = lane; i < D; i += WG) { work[probability + i] = 1.0 / (1.0 + exp(-work[y + i])); }
}

fn bce_forward(probability: u32, target_at: u32, loss: u32, D: u32) {
  var sum = 0.0;
  for (var i = lane; i < D; i += WG) {
    let p = work[probability + i];
    let q = 1.0 - p;
    let wanted = work[target_at + i];
    sum -= wanted * log(select(p, TINY, p < TINY)) + (1.0 - wanted) * log(select(q, TINY, q < TINY));
  }
  sum = span_sum(sum, WG);
  if (lane == 0u) { work[loss] = sum; }
}

fn ended_backward(dy: u32, share: u32, dliving: u32, D: u32) {
  for (var i = lane; i < D; i += WG) { work[dliving + i] = select(0.0, work[dy + i], work[share] > 0.0); }
}

fn surprise_forward(probability: u32, target_at: u32, surprise: u32, D: u32) {
  var sum = 0.0;
  for (var i = lane; i < D; i += WG) { sum += work[probability + i] * work[target_at + i]; }
  sum = span_sum(sum, WG);
  if (lane == 0u) { work[surprise] = 1.0 - sum; }
}
