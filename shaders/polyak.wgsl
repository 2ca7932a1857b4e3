// lib: arenas, reduce
// How long a step is, per stream: the stochastic Polyak step (Loizou et al. 2021), or a gradient clipped.
//   vector_square  squares[slot] = scale |left|^2
//   product_square  scale |left|^2 |right|^2: weights whose bias is fixed
//   outer_square, ragged_square  scale |left|^2 (|right|^2 + 1): the weights, and the bias that goes with left
//   polyak         coef = sum(squares[..outputs]) / (sum(squares[outputs..Q]) + 1e-12) / waiting * share
//   clip           coef = whole * longest / max(sqrt(sum(squares)), longest)
// Storage: all in work, but a ragged vector's length in lists. Dispatch: one workgroup a stream.
// Workgroup memory: 4 bytes a lane.

fn square(at: u32, D: u32) -> f32 {
  var sum = 0.0;
  for (var i = lane; i < D; i += WG) { sum += work[at + i] * work[at + i]; }
  return span_sum(sum, WG);
}

fn vector_square(left: u32, squares: u32, slot: u32, scale: f32, D: u32) {
  let total = square(left, D);
  if (lane == 0u) { work[squares + slot] = scale * total; }
}

fn outer_square(left: u32, right: u32, squares: u32, slot: u32, scale: f32, D: u32, I: u32) {
  let a = square(left, D);
  let b = square(right, I);
  if (lane == 0u) { work[squares + slot] = scale * a * (b + 1.0); }
}

fn product_square(left: u32, right: u32, squares: u32, slot: u32, scale: f32, D: u32, I: u32) {
  let a = square(left, D);
  let b = square(right, I);
  if (lane == 0u) { work[squares + slot] = scale * a * b; }
}

fn ragged_square(left: u32, index: u32, value: u32, squares: u32, slot: u32, scale: f32, D: u32) {
  let a = square(left, D);
  let b = square(value, lists[index]);
  if (lane == 0u) { work[squares + slot] = scale * a * (b + 1.0); }
}

fn polyak_forward(squares: u32, share: u32, waiting: f32, coef: u32, outputs: u32, Q: u32) {
  if (lane == 0u) {
    var error = 0.0;
    var gradient = 1e-12;
    for (var i = 0u; i < outputs; i++) { error += work[squares + i]; }
    for (var i = outputs; i < Q; i++) { gradient += work[squares + i]; }
    work[coef] = work[share] * error / gradient / waiting;
  }
}

fn clip_forward(squares: u32, whole: u32, coef: u32, longest: f32, Q: u32) {
  if (lane == 0u) {
    var sum = 0.0;
    for (var i = 0u; i < Q; i++) { sum += work[squares + i]; }
    work[coef] = work[whole] * longest / max(sqrt(sum), longest);
  }
}
