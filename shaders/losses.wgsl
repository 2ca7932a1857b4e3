// lib: arenas, reduce, outlier
// Losses over D outputs.
//   mse            loss = 1/2 sum (y - target)^2, dy = y - target, times (LIMIT largest / |dy|)^4 where |dy| > LIMIT largest;
//                  extent = [largest, seen]: the recent maximum of |dy|, and how many there were, up to FIRST
//   softmax        probability = exp(y - max y) / sum
//   cross_entropy  loss = -sum target log probability, dy = probability - target (into what softmax was taken of)
//   sigmoid        probability = 1 / (1 + exp(-y))
//   bce            loss = -sum (target log probability + (1 - target) log(1 - probability)), dy as of cross_entropy
//   mask           dmasked = dy where share > 0, else 0
//   surprise       p = 1 - sum probability target
// Storage: all in work. Dispatch: one workgroup a stream. Workgroup memory: 4 bytes a lane.
const TINY: f32 = 1.17549435e-38;

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
  let factor = outlier_factor(size, before);
  for (var i = lane; i < D; i += WG) {
    let d = work[y + i] - work[target_at + i];
    work[dy + i] = select(d, d * factor, outlying);
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
  top = span_largest(top, WG);
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

fn mask_backward(dy: u32, share: u32, dmasked: u32, D: u32) {
  for (var i = lane; i < D; i += WG) { work[dmasked + i] = select(0.0, work[dy + i], work[share] > 0.0); }
}

fn surprise_forward(probability: u32, target_at: u32, surprise: u32, D: u32) {
  var sum = 0.0;
  for (var i = lane; i < D; i += WG) { sum += work[probability + i] * work[target_at + i]; }
  sum = span_sum(sum, WG);
  if (lane == 0u) { work[surprise] = 1.0 - sum; }
}
