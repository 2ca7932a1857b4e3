// lib: arenas, reduce, eight
// Dense layer, y = W x + b, for all streams of a part of the rows (forward) or columns (backward).
//   forward   y[s, o] = bias[o] + sum_i weight[o, i] x[s, i]      part: rows of weight
//   backward  dx[s, i] = sum_o weight[o, i] dy[s, o]              part: columns of weight, four at a time
// Storage: x, y, dy, dx in work (float, stream stride STREAM, padded with zeros to a multiple of 4);
//         weight in weights (vec4, rows of ceil(I/4)); bias in params.
// With MANY streams a lane makes a tile of y or dx, 4 streams x 4 numbers, in registers: what it loads serves four times. The
// other code, for few streams, is the explanation of it.
// Dispatch: any number of parts. Workgroup memory: 16 bytes a lane.

// Quad q of a vector of n, if it is before the last: the lanes that share a sum write the same.
fn write_quad(vector: u32, q: u32, last: u32, n: u32, v: vec4<f32>) {
  if (q < last) {
    for (var i = 4u * q; i < min(n, 4u * q + 4u); i++) { work[vector + i] = v[i - 4u * q]; }
  }
}

// Four numbers of y from o on, those of them before the last.
fn write_outputs(y: u32, bias: u32, o: u32, last: u32, sum: vec4<f32>) {
  for (var i = 0u; i < 4u && o + i < last; i++) { work[y + o + i] = sum[i] + params[bias + o + i]; }
}

// Rows begin to last of y, 4 streams x 4 rows at a time.
fn forward_tiles(x: u32, weight: u32, bias: u32, y: u32, Q: u32, O: u32, begin: u32, last: u32) {
  let across = (last - begin + 3u) / 4u;
  let tiles = across * ((STREAMS + 3u) / 4u);
  let at_once = lanes_for(tiles);
  let span = WG / at_once;  // the lanes left over share the columns
  for (var first = 0u; first < tiles; first += at_once) {
    let tile = min(first + lane / span, tiles - 1u);
    let o = begin + 4u * (tile % across);
    let s = 4u * (tile / across);
    let row = weight + o * Q;
    let row1 = weight + min(o + 1u, O - 1u) * Q;  // rows and streams behind the last are read again, and not written
    let row2 = weight + min(o + 2u, O - 1u) * Q;
    let row3 = weight + min(o + 3u, O - 1u) * Q;
    let s1 = min(s + 1u, STREAMS - 1u);
    let s2 = min(s + 2u, STREAMS - 1u);
    let s3 = min(s + 3u, STREAMS - 1u);
    var sum = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    for (var q = lane % span; q < Q; q += span) {
      let w = weights[row + q];
      let w1 = weights[row1 + q];
      let w2 = weights[row2 + q];
      let w3 = weights[row3 + q];
      let v = work4(x + s * STREAM + 4u * q);
      let v1 = work4(x + s1 * STREAM + 4u * q);
      let v2 = work4(x + s2 * STREAM + 4u * q);
      let v3 = work4(x + s3 * STREAM + 4u * q);
      sum += vec4<f32>(dot(w, v), dot(w1, v), dot(w2, v), dot(w3, v));
      sum1 += vec4<f32>(dot(w, v1), dot(w1, v1), dot(w2, v1), dot(w3, v1));
      sum2 += vec4<f32>(dot(w, v2), dot(w1, v2), dot(w2, v2), dot(w3, v2));
      sum3 += vec4<f32>(dot(w, v3), dot(w1, v3), dot(w2, v3), dot(w3, v3));
    }
    sum = span_sum4(sum, span);
    sum1 = span_sum4(sum1, span);
    sum2 = span_sum4(sum2, span);
    sum3 = span_sum4(sum3, span);
    if (lane % span == 0u && first + lane / span < tiles) {
      write_outputs(y + s * STREAM, bias, o, last, sum);
      if (s + 1u < STREAMS) { write_outputs(y + s1 * STREAM, bias, o, last, sum1); }
      if (s + 2u < STREAMS) { write_outputs(y + s2 * STREAM, bias, o, last, sum2); }
      if (s + 3u < STREAMS) { write_outputs(y + s3 * STREAM, bias, o, last, sum3); }
    }
  }
}

// With one lane: four rows at a time, whose sums stay apart in eights, two a row, until the end.
fn forward_alone(x: u32, weight: u32, bias: u32, y: u32, Q: u32, O: u32, begin: u32, last: u32) {
  for (var o = begin; o < last; o += 4u) {
    let row = weight + o * Q;
    let row1 = weight + min(o + 1u, O - 1u) * Q;  // rows behind the last are read again, and not written
    let row2 = weight + min(o + 2u, O - 1u) * Q;
    let row3 = weight + min(o + 3u, O - 1u) * Q;
    for (var s = 0u; s < STREAMS; s++) {
      let from_x = x + s * STREAM;
      let to_y = y + s * STREAM;
      var sum = Eight();
      var sum1 = Eight();
      var sum2 = Eight();
      var sum3 = Eight();
      var more = Eight();
      var more1 = Eight();
      var more2 = Eight();
      var more3 = Eight();
      var j = 0u;
      for (; j + 16u <= 4u * Q; j += 16u) {
        let x8 = work8(from_x + j);
        let next8 = work8(from_x + j + 8u);
        sum = add_product8(sum, weights8(row, j), x8);
        more = add_product8(more, weights8(row, j + 8u), next8);
        sum1 = add_product8(sum1, weights8(row1, j), x8);
        more1 = add_product8(more1, weights8(row1, j + 8u), next8);
        sum2 = add_product8(sum2, weights8(row2, j), x8);
        more2 = add_product8(more2, weights8(row2, j + 8u), next8);
        sum3 = add_product8(sum3, weights8(row3, j), x8);
        more3 = add_product8(more3, weights8(row3, j + 8u), next8);
      }
      var rest = vec4<f32>(total8(sum) + total8(more), total8(sum1) + total8(more1), total8(sum2) + total8(more2),
                           total8(sum3) + total8(more3));
      for (; j < 4u * Q; j += 4u) {
        let x4 = work4(from_x + j);
        let q = j / 4u;
        rest += vec4<f32>(dot(weights[row + q], x4), dot(weights[row1 + q], x4), dot(weights[row2 + q], x4),
                          dot(weights[row3 + q], x4));
      }
      write_outputs(to_y, bias, o, last, rest);
    }
  }
}

fn linear_forward(x: u32, weight: u32, bias: u32, y: u32, I: u32, O: u32, part: u32, parts: u32) {
  let Q = (I + 3u) / 4u;
  let share = (O + parts - 1u) / parts;
  let last = min(O, (part + 1u) * share);
  if (STREAMS >= MANY) {
    forward_tiles(x, weight, bias, y, Q, O, min(part * share, last), last);
    return;
  }
  if (WG == 1u) {
    forward_alone(x, weight, bias, y, Q, O, min(part * share, last), last);
    return;
  }
  let at_once = lanes_for((share + 3u) / 4u);  // lanes side by side with four rows each: x is loaded once for four
  let span = WG / at_once;                     // the lanes left over share the columns of their rows
  for (var first = part * share; first < last; first += 4u * at_once) {
    let o = first + 4u * (lane / span);
    let row = weight + min(o, O - 1u) * Q;  // rows behind the last are read again, and not written
    let row1 = weight + min(o + 1u, O - 1u) * Q;
    let row2 = weight + min(o + 2u, O - 1u) * Q;
    let row3 = weight + min(o + 3u, O - 1u) * Q;
    for (var s = 0u; s < STREAMS; s++) {
      var sum = vec4<f32>();
      for (var q = lane % span; q < Q; q += span) {
        let x4 = work4(x + s * STREAM + 4u * q);
        sum += vec4<f32>(dot(weights[row + q], x4), dot(weights[row1 + q], x4), dot(weights[row2 + q], x4),
                         dot(weights[row3 + q], x4));
      }
      sum = span_sum4(sum, span);
      if (lane % span == 0u) { write_outputs(y + s * STREAM, bias, o, last, sum); }
    }
  }
}

// Quads begin to last of dx, 4 streams x 1 quad at a time.
fn backward_tiles(dy: u32, weight: u32, dx: u32, I: u32, O: u32, begin: u32, last: u32) {
  let Q = (I + 3u) / 4u;
  let across = last - begin;
  let tiles = across * ((STREAMS + 3u) / 4u);
  let at_once = lanes_for(tiles);
  for (var first = 0u; first < tiles; first += at_once) {
    let tile = min(first + lane % at_once, tiles - 1u);
    let q = begin + tile % across;
    let s = 4u * (tile / across);
    let s1 = min(s + 1u, STREAMS - 1u);  // streams behind the last are read again, and not written
    let s2 = min(s + 2u, STREAMS - 1u);
    let s3 = min(s + 3u, STREAMS - 1u);
    var sum = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    for (var o = lane / at_once; o < O; o += WG / at_once) {  // the lanes left over share the rows
      let w = weights[weight + o * Q + q];
      sum += work[dy + s * STREAM + o] * w;
      sum1 += work[dy + s1 * STREAM + o] * w;
      sum2 += work[dy + s2 * STREAM + o] * w;
      sum3 += work[dy + s3 * STREAM + o] * w;
    }
    sum = stride_sum4(sum, at_once);
    sum1 = stride_sum4(sum1, at_once);
    sum2 = stride_sum4(sum2, at_once);
    sum3 = stride_sum4(sum3, at_once);
    if (lane < at_once && first + lane < tiles) {
      write_quad(dx + s * STREAM, q, last, I, sum);
      if (s + 1u < STREAMS) { write_quad(dx + s1 * STREAM, q, last, I, sum1); }
      if (s + 2u < STREAMS) { write_quad(dx + s2 * STREAM, q, last, I, sum2); }
      if (s + 3u < STREAMS) { write_quad(dx + s3 * STREAM, q, last, I, sum3); }
    }
  }
}

// With one lane: eight rows at a time, as they lie in memory, added to dx, which stays near.
fn backward_alone(dy: u32, weight: u32, dx: u32, I: u32, O: u32, begin: u32, last: u32) {
  let Q = (I + 3u) / 4u;
  for (var s = 0u; s < STREAMS; s++) {
    let d = dy + s * STREAM;
    let to_x = dx + s * STREAM;
    for (var o = 0u; o < O; o += 8u) {
      let row = weight + o * Q;
      let row1 = weight + min(o + 1u, O - 1u) * Q;  // rows behind the last are read again, and do not count
      let row2 = weight + min(o + 2u, O - 1u) * Q;
      let row3 = weight + min(o + 3u, O - 1u) * Q;
      let row4 = weight + min(o + 4u, O - 1u) * Q;
      let row5 = weight + min(o + 5u, O - 1u) * Q;
      let row6 = weight + min(o + 6u, O - 1u) * Q;
      let row7 = weight + min(o + 7u, O - 1u) * Q;
      let d0 = work[d + o];
      let d1 = select(0.0, work[d + min(o + 1u, O - 1u)], o + 1u < O);
      let d2 = select(0.0, work[d + min(o + 2u, O - 1u)], o + 2u < O);
      let d3 = select(0.0, work[d + min(o + 3u, O - 1u)], o + 3u < O);
      let d4 = select(0.0, work[d + min(o + 4u, O - 1u)], o + 4u < O);
      let d5 = select(0.0, work[d + min(o + 5u, O - 1u)], o + 5u < O);
      let d6 = select(0.0, work[d + min(o + 6u, O - 1u)], o + 6u < O);
      let d7 = select(0.0, work[d + min(o + 7u, O - 1u)], o + 7u < O);
      var j = 4u * begin;
      for (; j + 8u <= min(I, 4u * last); j += 8u) {
        var sum = Eight();
        if (o > 0u) { sum = work8(to_x + j); }
        sum = add_scaled8(sum, d0, weights8(row, j));
        sum = add_scaled8(sum, d1, weights8(row1, j));
        sum = add_scaled8(sum, d2, weights8(row2, j));
        sum = add_scaled8(sum, d3, weights8(row3, j));
        sum = add_scaled8(sum, d4, weights8(row4, j));
        sum = add_scaled8(sum, d5, weights8(row5, j));
        sum = add_scaled8(sum, d6, weights8(row6, j));
        sum = add_scaled8(sum, d7, weights8(row7, j));
        put8(to_x + j, sum);
      }
      for (var q = j / 4u; q < last; q++) {
        var sum = vec4<f32>();
        if (o > 0u) { sum = work4(to_x + 4u * q); }
        sum += d0 * weights[row + q] + d1 * weights[row1 + q] + d2 * weights[row2 + q] + d3 * weights[row3 + q];
        sum += d4 * weights[row4 + q] + d5 * weights[row5 + q] + d6 * weights[row6 + q] + d7 * weights[row7 + q];
        write_quad(to_x, q, last, I, sum);
      }
    }
  }
}

fn linear_backward(dy: u32, weight: u32, dx: u32, I: u32, O: u32, part: u32, parts: u32) {
  let Q = (I + 3u) / 4u;
  let share = (Q + parts - 1u) / parts;
  let last = min(Q, (part + 1u) * share);
  if (STREAMS >= MANY) {
    backward_tiles(dy, weight, dx, I, O, min(part * share, last), last);
    return;
  }
  if (WG == 1u) {
    backward_alone(dy, weight, dx, I, O, min(part * share, last), last);
    return;
  }
  let at_once = lanes_for((share + 3u) / 4u);  // lanes side by side with four quads of columns each: dy is loaded once for four
  for (var first = part * share; first < last; first += 4u * at_once) {
    let q = first + lane % at_once;
    let q1 = q + at_once;
    let q2 = q1 + at_once;
    let q3 = q2 + at_once;
    let column = weight + min(q, Q - 1u);  // quads behind the last are read again, and not written
    let column1 = weight + min(q1, Q - 1u);
    let column2 = weight + min(q2, Q - 1u);
    let column3 = weight + min(q3, Q - 1u);
    for (var s = 0u; s < STREAMS; s++) {
      var sum = vec4<f32>();
      var sum1 = vec4<f32>();
      var sum2 = vec4<f32>();
      var sum3 = vec4<f32>();
      for (var o = lane / at_once; o < O; o += WG / at_once) {  // the lanes left over share the rows
        let d = work[dy + s * STREAM + o];
        sum += d * weights[column + o * Q];
        sum1 += d * weights[column1 + o * Q];
        sum2 += d * weights[column2 + o * Q];
        sum3 += d * weights[column3 + o * Q];
      }
      let to = dx + s * STREAM;
      write_quad(to, q, last, I, stride_sum4(sum, at_once));
      write_quad(to, q1, last, I, stride_sum4(sum1, at_once));
      write_quad(to, q2, last, I, stride_sum4(sum2, at_once));
      write_quad(to, q3, last, I, stride_sum4(sum3, at_once));
    }
  }
}
