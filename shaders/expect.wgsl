// lib: arenas, reduce
// Which columns a context expects: those with a depolarised cell; and how well the winners fit that.
//   any       z[l] = log sum_i exp q[l, i] over the M cells of a column; dq = dz softmax over them, 0 where less than floor
//   evidence  l = sum_k log(epsilon + (1 - epsilon) p), p = sigmoid(z[k]);
//             dz = dl (1 - epsilon) p (1 - p) / (epsilon + (1 - epsilon) p)
// NaN goes through.
// Storage: all in work: q, dq (L*M), z, dz (L or K), l, dl (1). Dispatch: one workgroup a stream.
// Workgroup memory: 4 bytes a lane.

// The largest q of a column's M cells (one that is NaN is passed over), and the sum of exp(q - largest) (NaN if one is).
// `span` lanes share them.
fn soften(q: u32, M: u32, span: u32) -> vec2<f32> {
  var top = -3e38;
  for (var i = lane % span; i < M; i += span) {
    let v = work[q + i];
    top = select(top, v, v > top);
  }
  top = span_largest(top, span);
  var sum = 0.0;
  for (var i = lane % span; i < M; i += span) { sum += exp(work[q + i] - top); }
  return vec2<f32>(top, span_sum(sum, span));
}

fn spare_forward(dz: u32, y: u32, losers: f32, L: u32) {
  for (var l = lane; l < L; l += WG) {
    let d = work[dz + l];
    work[y + l] = select(d, losers * d, d > 0.0);
  }
}

fn any_forward(q: u32, z: u32, L: u32, M: u32) {
  let at_once = lanes_for(L);  // columns side by side, the lanes left over share a column's cells
  let span = WG / at_once;
  for (var first = 0u; first < L; first += at_once) {
    let l = first + lane / span;
    let s = soften(q + min(l, L - 1u) * M, M, span);
    if (l < L && lane % span == 0u) { work[z + l] = s.x + log(s.y); }
  }
}

fn any_backward(dz: u32, q: u32, dq: u32, L: u32, M: u32, floor: f32) {
  let at_once = lanes_for(L);
  let span = WG / at_once;
  for (var first = 0u; first < L; first += at_once) {
    let l = first + lane / span;
    let column = min(l, L - 1u) * M;
    let s = soften(q + column, M, span);
    if (l < L) {
      for (var i = lane % span; i < M; i += span) {
        let d = work[dz + l] * (exp(work[q + column + i] - s.x) / s.y);
        work[dq + column + i] = select(d, 0.0, abs(d) < floor);
      }
    }
  }
}

// The sigmoid of z, and its slope; exp of nothing that is large.
fn sigmoid_and_slope(z: f32) -> vec2<f32> {
  let small = exp(-abs(z));
  return vec2<f32>(select(1.0, small, z < 0.0), small / (1.0 + small)) / (1.0 + small);
}

fn evidence_forward(z: u32, l: u32, epsilon: f32, K: u32) {
  var sum = 0.0;
  for (var k = lane; k < K; k += WG) { sum += log(epsilon + (1.0 - epsilon) * sigmoid_and_slope(work[z + k]).x); }
  sum = span_sum(sum, WG);
  if (lane == 0u) { work[l] = sum; }
}

fn evidence_backward(dl: u32, z: u32, dz: u32, epsilon: f32, K: u32) {
  for (var k = lane; k < K; k += WG) {
    let s = sigmoid_and_slope(work[z + k]);
    work[dz + k] = work[dl] * (1.0 - epsilon) * s.y / (epsilon + (1.0 - epsilon) * s.x);
  }
}
