// lib: arenas, reduce, eight
// Dense layer whose input, or whose gradient, is a list of L (index, value) pairs: only those rows are read.
//   forward        y[o] = bias[o] + sum_l value[l] weight[index[l], o]      pairs whose value is 0 cost nothing (NaN is not 0)
//   backward       dvalue[l] = sum_o weight[index[l], o] dy[o]              0 where value[l] is 0
//   rows_forward   y[l] = bias[index[l]] + sum_i weight[index[l], i] x[i]   only those rows of a dense layer
//   rows_backward  dx[i] = sum_l dy[l] weight[index[l], i]
// Storage: index in lists; value, dvalue, x, y, dy, dx in work; weight in weights (vec4, rows of ceil(O/4) or ceil(I/4)); bias in params.
// Dispatch: one workgroup a stream. Workgroup memory: 20 bytes a lane.

// With one lane: row after row, as they lie in memory, added to y, which stays near.
fn sparse_forward_alone(index: u32, value: u32, weight: u32, bias: u32, y: u32, L: u32, O: u32) {
  let Q = (O + 3u) / 4u;
  for (var o = lane; o < O; o += WG) { work[y + o] = params[bias + o]; }
  for (var l = 0u; l < L; l++) {
    let v = work[value + l];
    if (v == 0.0) { continue; }
    let row = weight + lists[index + l] * Q;
    var o = 0u;
    for (; o + 8u <= O; o += 8u) { put8(y + o, add_scaled8(work8(y + o), v, weights8(row, o))); }
    for (; o < O; o++) { work[y + o] += v * weights[row + o / 4u][o % 4u]; }
  }
}

fn sparse_backward_alone(dy: u32, index: u32, value: u32, weight: u32, dvalue: u32, L: u32, O: u32) {
  let Q = (O + 3u) / 4u;
  for (var l = 0u; l < L; l++) {
    var total = 0.0;
    if (!(work[value + l] == 0.0)) {
      let row = weight + lists[index + l] * Q;
      var sum = Eight();
      var sum1 = Eight();
      var j = 0u;
      for (; j + 16u <= 4u * Q; j += 16u) {
        sum = add_product8(sum, weights8(row, j), work8(dy + j));
        sum1 = add_product8(sum1, weights8(row, j + 8u), work8(dy + j + 8u));
      }
      total = total8(sum) + total8(sum1);
      for (; j < 4u * Q; j += 4u) { total += dot(weights[row + j / 4u], work4(dy + j)); }
    }
    work[dvalue + l] = total;
  }
}

fn sparse_linear_forward(index: u32, value: u32, weight: u32, bias: u32, y: u32, L: u32, O: u32) {
  if (WG == 1u) {
    sparse_forward_alone(index, value, weight, bias, y, L, O);
    return;
  }
  let Q = (O + 3u) / 4u;
  for (var q = lane; q < Q; q += WG) {
    var sum = vec4<f32>();
    for (var l = 0u; l < L; l++) {
      let v = work[value + l];
      if (!(v == 0.0)) { sum += v * weights[weight + lists[index + l] * Q + q]; }
    }
    for (var o = 4u * q; o < min(O, 4u * q + 4u); o++) { work[y + o] = sum[o - 4u * q] + params[bias + o]; }
  }
}

fn sparse_linear_backward(dy: u32, index: u32, value: u32, weight: u32, dvalue: u32, L: u32, O: u32) {
  if (WG == 1u) {
    sparse_backward_alone(dy, index, value, weight, dvalue, L, O);
    return;
  }
  let Q = (O + 3u) / 4u;
  let at_once = lanes_for(L);  // pairs side by side, the lanes left over share a row
  let span = WG / at_once;
  for (var first = 0u; first < L; first += at_once) {
    let l = first + lane / span;
    var sum = vec4<f32>();
    if (l < L) {
      if (!(work[value + l] == 0.0)) {
        let row = weight + lists[index + l] * Q;
        for (var q = lane % span; q < Q; q += span) { sum += weights[row + q] * work4(dy + 4u * q); }
      }
    }
    let total = span_sum(sum.x + sum.y + sum.z + sum.w, span);
    if (l < L && lane % span == 0u) { work[dvalue + l] = total; }
  }
}

fn rows_forward(x: u32, index: u32, weight: u32, bias: u32, y: u32, L: u32, I: u32) {
  let Q = (I + 3u) / 4u;
  let at_once = lanes_for((L + 3u) / 4u);  // lanes side by side with four rows each: x is loaded once for four
  let span = WG / at_once;                 // the lanes left over share the columns of their rows
  for (var first = 0u; first < L; first += 4u * at_once) {
    let l = first + 4u * (lane / span);
    let row = weight + lists[index + min(l, L - 1u)] * Q;  // rows behind the last are read again, and not written
    let row1 = weight + lists[index + min(l + 1u, L - 1u)] * Q;
    let row2 = weight + lists[index + min(l + 2u, L - 1u)] * Q;
    let row3 = weight + lists[index + min(l + 3u, L - 1u)] * Q;
    var sum = vec4<f32>();
    for (var q = lane % span; q < Q; q += span) {
      let x4 = work4(x + 4u * q);
      sum += vec4<f32>(dot(weights[row + q], x4), dot(weights[row1 + q], x4), dot(weights[row2 + q], x4),
                       dot(weights[row3 + q], x4));
    }
    sum = span_sum4(sum, span);
    if (lane % span == 0u) {
      for (var i = 0u; i < 4u && l + i < L; i++) { work[y + l + i] = sum[i] + params[bias + lists[index + l + i]]; }
    }
  }
}

fn rows_backward(dy: u32, index: u32, weight: u32, dx: u32, L: u32, I: u32) {
  let Q = (I + 3u) / 4u;
  for (var q = lane; q < Q; q += WG) {
    var sum = vec4<f32>();
    for (var l = 0u; l < L; l++) { sum += work[dy + l] * weights[weight + lists[index + l] * Q + q]; }
    for (var i = 4u * q; i < min(I, 4u * q + 4u); i++) { work[dx + i] = sum[i - 4u * q]; }
  }
}
