// lib: arenas, window, owners, eight
// A transposed convolution of pairs (index, value), L at each position q of a coarse map; W[n, off, i] is what cell n paints.
//   forward    y[p, i] = bias[i] + sum over offsets with p = fine(q, off), and l, of value[q, l] W[index[q, l], off, i]
//   backward   dvalue[q, l] = sum over offsets and i of W[index[q, l], off, i] dy[fine(q, off), i], 0 where value is 0
//   gradient   gradient[index[q, l], off, i] += value[q, l] dy[fine(q, off), i], and touched[index[q, l]] = 1
// Storage: y, dy, value, dvalue (each position on whole quads), gradient (N, J), J = side side I, not padded, and touched (N)
// in work; index in lists; weight (rows of ceil(J/4) quads) in weights; bias in params.
// Dispatch: any number of parts, which share out positions (gradient: rows) of all streams. Workgroup memory: that of owners.

// Two quads of a row of weights from number j on; where I is no multiple of 4 they lie in three.
fn weight8(row: u32, j: u32, quads: u32) -> Eight {
  let last = row + quads - 1u;
  let a = weights[row + j / 4u];
  let b = weights[min(row + j / 4u + 1u, last)];
  if (j % 4u == 0u) { return Eight(a, b); }
  let c = weights[min(row + j / 4u + 2u, last)];
  if (j % 4u == 1u) { return Eight(vec4<f32>(a.yzw, b.x), vec4<f32>(b.yzw, c.x)); }
  if (j % 4u == 2u) { return Eight(vec4<f32>(a.zw, b.xy), vec4<f32>(b.zw, c.xy)); }
  return Eight(vec4<f32>(a.w, b.xyz), vec4<f32>(b.w, c.xyz));
}

fn sparse_transposed_forward(index: u32, value: u32, weight: u32, bias: u32, y: u32, L: u32, I: u32, window: Window,
                             part: u32, parts: u32) {
  if (WG == 1u && parts == 1u && I % 4u == 0u) {
    pairs_forward_alone(index, value, weight, bias, y, L, I, window);
    return;
  }
  let quads = (window.side * window.side * I + 3u) / 4u;
  let eights = (I + 7u) / 8u;  // a lane makes eight numbers of a position: F = 8 features are one
  for (var item = part * WG + lane; item < STREAMS * window.X * eights; item += parts * WG) {
    let i = 8u * (item % eights);
    let p = item / eights % window.X;
    let base = item / (eights * window.X) * STREAM;
    let list_base = item / (eights * window.X) * LISTS;
    var low = vec4<f32>();
    var high = vec4<f32>();
    for (var a = first_offset(p / window.W, window); a < window.side; a += window.stride) {
      let u = coarse_of(p / window.W, a, window.Y / window.V, window);
      if (u == NOWHERE) { continue; }
      for (var b = first_offset(p % window.W, window); b < window.side; b += window.stride) {
        let v = coarse_of(p % window.W, b, window.V, window);
        if (v == NOWHERE) { continue; }
        let at = (u * window.V + v) * room_of(L);
        let first = (a * window.side + b) * I + i;
        for (var l = at; l < at + L; l++) {
          let factor = work[value + base + l];
          if (!(factor == 0.0)) {
            let w = weight8(weight + lists[index + list_base + l] * quads, first, quads);
            low += factor * w.a;
            high += factor * w.b;
          }
        }
      }
    }
    let to = y + base + p * room_of(I) + i;
    for (var k = 0u; k < 4u && i + k < I; k++) { work[to + k] = low[k] + params[bias + i + k]; }
    for (var k = 0u; k < 4u && i + 4u + k < I; k++) { work[to + 4u + k] = high[k] + params[bias + i + 4u + k]; }
  }
}

fn sparse_transposed_backward(dy: u32, index: u32, value: u32, weight: u32, dvalue: u32, L: u32, I: u32, window: Window,
                              part: u32, parts: u32) {
  if (WG == 1u && parts == 1u && I % 4u == 0u) {
    pairs_backward_alone(dy, index, value, weight, dvalue, L, I, window);
    return;
  }
  let quads = (window.side * window.side * I + 3u) / 4u;
  for (var item = part * WG + lane; item < STREAMS * window.Y * L; item += parts * WG) {
    let q = item / L % window.Y;
    let s = item / (L * window.Y);
    let at = q * room_of(L) + item % L;
    let row = weight + lists[index + s * LISTS + at] * quads;
    var sum = 0.0;
    if (!(work[value + s * STREAM + at] == 0.0)) {
      for (var a = 0u; a < window.side; a++) {
        let r = fine_of(q / window.V, a, window.X / window.W, window);
        if (r == NOWHERE) { continue; }
        for (var b = 0u; b < window.side; b++) {
          let c = fine_of(q % window.V, b, window.W, window);
          if (c == NOWHERE) { continue; }
          let window_at = dy + s * STREAM + (r * window.W + c) * room_of(I);
          let first = (a * window.side + b) * I;
          for (var i = 0u; i < I; i++) { sum += work[window_at + i] * weights[row + (first + i) / 4u][(first + i) % 4u]; }
        }
      }
    }
    work[dvalue + s * STREAM + at] = sum;
  }
}

// With one lane, where the features of a position fill whole quads: pair after pair, each row of its window in one go. A pair is
// entry `item` of a stream's; nothing is done for those whose value is 0.
struct Pair { at: u32, u: u32, v: u32, base: u32, lists: u32 }

fn pair_of(item: u32, L: u32, window: Window) -> Pair {
  let s = item / (window.Y * L);
  let q = item / L % window.Y;
  return Pair(q * room_of(L) + item % L, q / window.V, q % window.V, s * STREAM, s * LISTS);
}

fn pairs_forward_alone(index: u32, value: u32, weight: u32, bias: u32, y: u32, L: u32, I: u32, window: Window) {
  let quads = window.side * window.side * I / 4u;
  for (var p = 0u; p < STREAMS * window.X; p++) {
    let to = y + p / window.X * STREAM + p % window.X * I;
    for (var i = 0u; i < I; i++) { work[to + i] = params[bias + i]; }
  }
  for (var item = 0u; item < STREAMS * window.Y * L; item++) {
    let pair = pair_of(item, L, window);
    let factor = work[value + pair.base + pair.at];
    if (factor == 0.0) { continue; }
    let row = weight + lists[index + pair.lists + pair.at] * quads;
    let run = inside(pair.v, window.W, window);
    for (var a = 0u; a < window.side; a++) {
      let r = fine_of(pair.u, a, window.X / window.W, window);
      if (r == NOWHERE) { continue; }
      let source = row + (a * window.side + run.first) * I / 4u;
      let to = y + pair.base + (r * window.W + run.at) * I;
      let count = run.count * I;
      for (var j = 0u; j + 4u < count; j += 8u) { put8(to + j, add_scaled8(work8(to + j), factor, weights8(source, j))); }
      if (count % 8u != 0u) { put4(to + count - 4u, work4(to + count - 4u) + factor * weights[source + count / 4u - 1u]); }
    }
  }
}

fn pairs_backward_alone(dy: u32, index: u32, value: u32, weight: u32, dvalue: u32, L: u32, I: u32, window: Window) {
  let quads = window.side * window.side * I / 4u;
  for (var item = 0u; item < STREAMS * window.Y * L; item++) {
    let pair = pair_of(item, L, window);
    var sum = Eight();
    var more = Eight();  // two sums side by side: neither waits for the other
    var rest = 0.0;
    if (!(work[value + pair.base + pair.at] == 0.0)) {
      let row = weight + lists[index + pair.lists + pair.at] * quads;
      let run = inside(pair.v, window.W, window);
      for (var a = 0u; a < window.side; a++) {
        let r = fine_of(pair.u, a, window.X / window.W, window);
        if (r == NOWHERE) { continue; }
        let source = row + (a * window.side + run.first) * I / 4u;
        let at = dy + pair.base + (r * window.W + run.at) * I;
        let count = run.count * I;
        for (var j = 0u; j + 8u <= count; j += 16u) {
          sum = add_product8(sum, work8(at + j), weights8(source, j));
          if (j + 16u <= count) { more = add_product8(more, work8(at + j + 8u), weights8(source, j + 8u)); }
        }
        if (count % 8u != 0u) { rest += dot(work4(at + count - 4u), weights[source + count / 4u - 1u]); }
      }
    }
    work[dvalue + pair.base + pair.at] = total8(sum) + total8(more) + rest;
  }
}

fn pairs_gradient_alone(index: u32, value: u32, dy: u32, gradient: u32, touched: u32, L: u32, I: u32, window: Window) {
  let J = window.side * window.side * I;
  for (var item = 0u; item < STREAMS * window.Y * L; item++) {
    let pair = pair_of(item, L, window);
    let factor = work[value + pair.base + pair.at];
    if (factor == 0.0) { continue; }
    let n = lists[index + pair.lists + pair.at];
    work[touched + pair.base + n] = 1.0;
    let run = inside(pair.v, window.W, window);
    for (var a = 0u; a < window.side; a++) {
      let r = fine_of(pair.u, a, window.X / window.W, window);
      if (r == NOWHERE) { continue; }
      let to = gradient + pair.base + n * J + (a * window.side + run.first) * I;
      let source = dy + pair.base + (r * window.W + run.at) * I;
      let count = run.count * I;
      for (var j = 0u; j + 4u < count; j += 8u) { put8(to + j, add_scaled8(work8(to + j), factor, work8(source + j))); }
      if (count % 8u != 0u) { put4(to + count - 4u, work4(to + count - 4u) + factor * work4(source + count - 4u)); }
    }
  }
}

fn sparse_transposed_gradient(index: u32, value: u32, dy: u32, gradient: u32, touched: u32, L: u32, I: u32, N: u32,
                              window: Window, part: u32, parts: u32) {
  if (WG == 1u && parts == 1u && I % 4u == 0u) {
    pairs_gradient_alone(index, value, dy, gradient, touched, L, I, window);
    return;
  }
  let J = window.side * window.side * I;
  let classes = classes_of(parts);
  for (var owner = part; owner < STREAMS * classes; owner += parts) {
    let s = owner / classes;
    let base = s * STREAM;
    for (var first = 0u; first < window.Y * L; first += 32u * WG) {
      mark_hits(index + s * LISTS, value + base, window.Y * L, L, first, classes, owner % classes);
      for (var w = 0u; w < hit_words(window.Y * L, first); w++) {
        for (var bits = workgroupUniformLoad(&class_hits[w]); bits != 0u; bits &= bits - 1u) {
          let hit = first + 32u * w + firstTrailingBit(bits);
          let q = hit / L;
          let at = q * room_of(L) + hit % L;
          let n = lists[index + s * LISTS + at];
          let factor = work[value + base + at];
          if (lane == 0u) { work[touched + base + n] = 1.0; }
          for (var a = 0u; a < window.side; a++) {
            let r = fine_of(q / window.V, a, window.X / window.W, window);
            if (r == NOWHERE) { continue; }
            let to = gradient + base + n * J + a * window.side * I;
            let row = dy + base + r * window.W * room_of(I);
            for (var j = lane; j < window.side * I; j += WG) {  // a number always has the same lane: no barrier between hits
              let c = fine_of(q % window.V, j / I, window.W, window);
              if (c != NOWHERE) { work[to + j] += factor * work[row + c * room_of(I) + j % I]; }
            }
          }
        }
      }
    }
  }
}
