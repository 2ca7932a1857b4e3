// lib: arenas, reduce, noise
// Predicted columns: who is asked, how surprising the winners were, and what each logistic unit has to learn.
//   losers  rows = winners, then R columns drawn one from each of R equal stretches of the C columns
//   head    likely = sigmoid(logit); anomaly = 1 - sum_k activity likely / sum_k activity, 0 where no winner is active;
//           delta = likely - 1 for winners, likely for drawn losers, 0 for a drawn column that is a winner
// Storage: logit, delta (K+R), activity (K), anomaly (1) in work; winners (K), rows (K+R),
// seed (1) in lists; t a number.
// Dispatch: one workgroup a stream. Workgroup memory: 4 bytes a lane.

const LEAST: f32 = 1e-12;  // of the winners' activity together: below, none is active

fn losers_forward(winners: u32, t: u32, seed: u32, rows: u32, K: u32, C: u32, R: u32) {
  for (var k = lane; k < K; k += WG) { lists[rows + k] = lists[winners + k]; }
  let noise = mix32(lists[seed] ^ t);  // the same for all streams, so that copies of a stream stay copies
  for (var r = lane; r < R; r += WG) {
    let begin = r * C / R;
    lists[rows + K + r] = begin + mix32(noise ^ r) % ((r + 1u) * C / R - begin);
  }
}

fn head_forward(logit: u32, rows: u32, activity: u32, anomaly: u32, delta: u32, K: u32, R: u32) {
  var total = 0.0;
  var predicted = 0.0;
  for (var j = lane; j < K + R; j += WG) {
    let likely = 1.0 / (1.0 + exp(-work[logit + j]));
    var d = likely;
    if (j < K) {
      d = likely - 1.0;
      total += work[activity + j];
      predicted += work[activity + j] * likely;
    } else {
      for (var k = 0u; k < K; k++) {
        if (lists[rows + k] == lists[rows + j]) { d = 0.0; }
      }
    }
    work[delta + j] = d;
  }
  total = span_sum(total, WG);
  predicted = span_sum(predicted, WG);
  if (lane == 0u) { work[anomaly] = select(1.0 - predicted / max(total, LEAST), 0.0, total <= LEAST); }
}
