// lib: arenas, window, eight
// Convolutions: positions q of a coarse map (O numbers each) see windows of a fine one (I numbers each), W[o, off, i].
//   conv_forward         y[q, o] = bias[o] + sum over offsets and i of W[o, off, i] x[fine(q, off), i]
//   conv_backward        dx[p, i] = sum over offsets with p = fine(q, off), and o, of W[o, off, i] dy[q, o]
//   transposed_forward   y[p, i] = bias[i] + the same sum of x         transposed_backward  dx[q, o]: that of the first, no bias
//   conv_gradient        gradient[o, off, i] += sum over q of coarse[q, o] fine[fine(q, off), i]
// A lane makes a tile in registers: 4 positions of a row x 4 numbers, what it loads serves four times. Outside a map are zeros.
// Storage: x, y, dy, dx, coarse, fine (a position's numbers on whole quads, padded with zeros) and gradient (a stream's
// (O, J), J = side side I, not padded) in work; weight (rows of ceil(J/4) quads) in weights; bias in params.
// Dispatch: any number of parts, which share out the tiles of all streams. Workgroup memory: none.

// Numbers j..j+3 of a row of weights; where I is no multiple of 4 they may lie in two quads.
fn weight4(row: u32, j: u32, quads: u32) -> vec4<f32> {
  if (j % 4u == 0u) { return weights[row + j / 4u]; }
  let a = weights[row + j / 4u];
  let b = weights[row + min(j / 4u + 1u, quads - 1u)];
  if (j % 4u == 1u) { return vec4<f32>(a.yzw, b.x); }
  if (j % 4u == 2u) { return vec4<f32>(a.zw, b.xy); }
  return vec4<f32>(a.w, b.xyz);
}

// v without what lies behind number n of a vector, from number i on.
fn first_of_quad(v: vec4<f32>, i: u32, n: u32) -> vec4<f32> {
  return select(vec4<f32>(), v, vec4<u32>(i, i + 1u, i + 2u, i + 3u) < vec4<u32>(n));
}

// The quad at number i of a position, zeros outside the map.
fn quad_at(map: u32, row: u32, column: u32, across: u32, n: u32, i: u32) -> vec4<f32> {
  let there = row != NOWHERE && column != NOWHERE;  // no branch: outside, another position is read for nothing
  let quad = work4(map + select(0u, row * across + column, there) * room_of(n) + i);
  return select(vec4<f32>(), quad, there);
}

fn write4(at: u32, v: vec4<f32>, o: u32, n: u32) {
  work[at + o] = v.x;
  if (o + 1u < n) { work[at + o + 1u] = v.y; }
  if (o + 2u < n) { work[at + o + 2u] = v.z; }
  if (o + 3u < n) { work[at + o + 3u] = v.w; }
}

fn bias4(bias: u32, o: u32, n: u32, there: bool) -> vec4<f32> {
  if (!there) { return vec4<f32>(); }
  let last = n - 1u;
  return vec4<f32>(params[bias + o], params[bias + min(o + 1u, last)], params[bias + min(o + 2u, last)],
                   params[bias + min(o + 3u, last)]);
}

// With one lane, where positions have whole eights: to coarse positions, 4 of a row x 2 outputs, whose sums stay apart to the end.
fn to_coarse_eights(x: u32, weight: u32, bias: u32, biased: bool, y: u32, I: u32, O: u32, window: Window, part: u32, parts: u32) {
  let U = window.Y / window.V;
  let quads = window.side * window.side * I / 4u;
  let across = (window.V + 3u) / 4u;
  let outs = (O + 1u) / 2u;
  for (var tile = part; tile < STREAMS * U * across * outs; tile += parts) {
    let o = 2u * (tile % outs);
    let v = 4u * (tile / outs % across);
    let u = tile / (outs * across) % U;
    let base = tile / (outs * across * U) * STREAM;
    let row0 = weight + o * quads;
    let row1 = weight + min(o + 1u, O - 1u) * quads;  // a row behind the last is read again, and not written
    var a0 = Eight();
    var a1 = Eight();
    var a2 = Eight();
    var a3 = Eight();
    var b0 = Eight();
    var b1 = Eight();
    var b2 = Eight();
    var b3 = Eight();
    for (var a = 0u; a < window.side; a++) {
      let row = fine_of(u, a, window.X / window.W, window);
      if (row == NOWHERE) { continue; }
      let map = x + base + row * window.W * I;
      for (var b = 0u; b < window.side; b++) {
        let c0 = fine_of(v, b, window.W, window);
        let c1 = fine_of(v + 1u, b, window.W, window);
        let c2 = fine_of(v + 2u, b, window.W, window);
        let c3 = fine_of(v + 3u, b, window.W, window);
        let all = c0 != NOWHERE && c1 != NOWHERE && c2 != NOWHERE && c3 != NOWHERE;
        let first = (a * window.side + b) * I;
        for (var i = 0u; i < I; i += 8u) {
          let w0 = weights8(row0, first + i);
          let w1 = weights8(row1, first + i);
          if (all || c0 != NOWHERE) {
            let x0 = work8(map + c0 * I + i);
            a0 = add_product8(a0, w0, x0);
            b0 = add_product8(b0, w1, x0);
          }
          if (all || c1 != NOWHERE) {
            let x1 = work8(map + c1 * I + i);
            a1 = add_product8(a1, w0, x1);
            b1 = add_product8(b1, w1, x1);
          }
          if (all || c2 != NOWHERE) {
            let x2 = work8(map + c2 * I + i);
            a2 = add_product8(a2, w0, x2);
            b2 = add_product8(b2, w1, x2);
          }
          if (all || c3 != NOWHERE) {
            let x3 = work8(map + c3 * I + i);
            a3 = add_product8(a3, w0, x3);
            b3 = add_product8(b3, w1, x3);
          }
        }
      }
    }
    let start = bias4(bias, o, O, biased);
    let sums = vec4<f32>(total8(a0), total8(a1), total8(a2), total8(a3)) + start.x;
    let others = vec4<f32>(total8(b0), total8(b1), total8(b2), total8(b3)) + start.y;
    for (var n = 0u; n < 4u && v + n < window.V; n++) {
      let to = y + base + (u * window.V + v + n) * room_of(O) + o;
      work[to] = sums[n];
      if (o + 1u < O) { work[to + 1u] = others[n]; }
    }
  }
}

// Likewise, to fine positions: 4 of a row, one stride apart, x 16 numbers.
fn to_fine_eights(x: u32, weight: u32, bias: u32, biased: bool, y: u32, I: u32, O: u32, window: Window, part: u32, parts: u32) {
  let H = window.X / window.W;
  let quads = window.side * window.side * I / 4u;
  let step = window.stride;
  let across = step * ((window.W + 4u * step - 1u) / (4u * step));
  let ins = I / 16u;
  for (var tile = part; tile < STREAMS * H * across * ins; tile += parts) {
    let i = 16u * (tile % ins);
    let strip = tile / ins % across;
    let column = strip / step * 4u * step + strip % step;
    let row = tile / (ins * across) % H;
    let base = tile / (ins * across * H) * STREAM;
    var a0 = Eight(bias4(bias, i, I, biased), bias4(bias, i + 4u, I, biased));
    var b0 = Eight(bias4(bias, i + 8u, I, biased), bias4(bias, i + 12u, I, biased));
    var a1 = a0;
    var a2 = a0;
    var a3 = a0;
    var b1 = b0;
    var b2 = b0;
    var b3 = b0;
    for (var a = first_offset(row, window); a < window.side; a += step) {
      let u = coarse_of(row, a, window.Y / window.V, window);
      if (u == NOWHERE) { continue; }
      let map = x + base + u * window.V * room_of(O);
      for (var b = first_offset(column, window); b < window.side; b += step) {
        let v0 = coarse_of(column, b, window.V, window);
        let v1 = coarse_of(column + step, b, window.V, window);
        let v2 = coarse_of(column + 2u * step, b, window.V, window);
        let v3 = coarse_of(column + 3u * step, b, window.V, window);
        let all = v0 != NOWHERE && v1 != NOWHERE && v2 != NOWHERE && v3 != NOWHERE;
        let first = (a * window.side + b) * I + i;
        for (var o = 0u; o < O; o++) {
          let w = weights8(weight + o * quads, first);
          let more = weights8(weight + o * quads, first + 8u);
          if (all || v0 != NOWHERE) {
            let d = work[map + v0 * room_of(O) + o];
            a0 = add_scaled8(a0, d, w);
            b0 = add_scaled8(b0, d, more);
          }
          if (all || v1 != NOWHERE) {
            let d = work[map + v1 * room_of(O) + o];
            a1 = add_scaled8(a1, d, w);
            b1 = add_scaled8(b1, d, more);
          }
          if (all || v2 != NOWHERE) {
            let d = work[map + v2 * room_of(O) + o];
            a2 = add_scaled8(a2, d, w);
            b2 = add_scaled8(b2, d, more);
          }
          if (all || v3 != NOWHERE) {
            let d = work[map + v3 * room_of(O) + o];
            a3 = add_scaled8(a3, d, w);
            b3 = add_scaled8(b3, d, more);
          }
        }
      }
    }
    let to = y + base + row * window.W * I + i;
    if (column < window.W) { put16(to + column * I, a0, b0); }
    if (column + step < window.W) { put16(to + (column + step) * I, a1, b1); }
    if (column + 2u * step < window.W) { put16(to + (column + 2u * step) * I, a2, b2); }
    if (column + 3u * step < window.W) { put16(to + (column + 3u * step) * I, a3, b3); }
  }
}

fn put16(at: u32, a: Eight, b: Eight) {
  put8(at, a);
  put8(at + 8u, b);
}

// Likewise, a gradient: 4 rows x 16 numbers at one offset.
fn gradient_eights(coarse: u32, fine: u32, gradient: u32, I: u32, O: u32, window: Window, part: u32, parts: u32) {
  let U = window.Y / window.V;
  let J = window.side * window.side * I;
  let ins = I / 16u;
  let offsets = window.side * window.side;
  for (var tile = part; tile < STREAMS * O / 4u * offsets * ins; tile += parts) {
    let i = 16u * (tile % ins);
    let off = tile / ins % offsets;
    let o = 4u * (tile / (ins * offsets) % (O / 4u));
    let base = tile / (ins * offsets * (O / 4u)) * STREAM;
    let to = gradient + base + o * J + off * I + i;
    var a0 = work8(to);
    var b0 = work8(to + 8u);
    var a1 = work8(to + J);
    var b1 = work8(to + J + 8u);
    var a2 = work8(to + 2u * J);
    var b2 = work8(to + 2u * J + 8u);
    var a3 = work8(to + 3u * J);
    var b3 = work8(to + 3u * J + 8u);
    for (var u = 0u; u < U; u++) {
      let row = fine_of(u, off / window.side, window.X / window.W, window);
      if (row == NOWHERE) { continue; }
      for (var v = 0u; v < window.V; v++) {
        let column = fine_of(v, off % window.side, window.W, window);
        if (column == NOWHERE) { continue; }
        let at = fine + base + (row * window.W + column) * I + i;
        let x = work8(at);
        let more = work8(at + 8u);
        let d = work4(coarse + base + (u * window.V + v) * O + o);
        a0 = add_scaled8(a0, d.x, x);
        b0 = add_scaled8(b0, d.x, more);
        a1 = add_scaled8(a1, d.y, x);
        b1 = add_scaled8(b1, d.y, more);
        a2 = add_scaled8(a2, d.z, x);
        b2 = add_scaled8(b2, d.z, more);
        a3 = add_scaled8(a3, d.w, x);
        b3 = add_scaled8(b3, d.w, more);
      }
    }
    put16(to, a0, b0);
    put16(to + J, a1, b1);
    put16(to + 2u * J, a2, b2);
    put16(to + 3u * J, a3, b3);
  }
}

// With one lane, to coarse positions: 4 of a row x 2 outputs, whose sums stay apart in quads until the end.
fn to_coarse_alone(x: u32, weight: u32, bias: u32, biased: bool, y: u32, I: u32, O: u32, window: Window, part: u32, parts: u32) {
  let H = window.X / window.W;
  let U = window.Y / window.V;
  let quads = (window.side * window.side * I + 3u) / 4u;
  let across = (window.V + 3u) / 4u;
  let outs = (O + 1u) / 2u;
  let one = vec4<f32>(1.0);
  for (var tile = part; tile < STREAMS * U * across * outs; tile += parts) {
    let o = 2u * (tile % outs);
    let v = 4u * (tile / outs % across);
    let u = tile / (outs * across) % U;
    let base = tile / (outs * across * U) * STREAM;
    let row0 = weight + o * quads;
    let row1 = weight + min(o + 1u, O - 1u) * quads;  // a row behind the last is read again, and not written
    var a0 = vec4<f32>();
    var a1 = vec4<f32>();
    var a2 = vec4<f32>();
    var a3 = vec4<f32>();
    var b0 = vec4<f32>();
    var b1 = vec4<f32>();
    var b2 = vec4<f32>();
    var b3 = vec4<f32>();
    for (var a = 0u; a < window.side; a++) {
      let row = fine_of(u, a, H, window);
      if (row == NOWHERE) { continue; }
      for (var b = 0u; b < window.side; b++) {
        let c0 = fine_of(v, b, window.W, window);
        let c1 = fine_of(v + 1u, b, window.W, window);
        let c2 = fine_of(v + 2u, b, window.W, window);
        let c3 = fine_of(v + 3u, b, window.W, window);
        let first = (a * window.side + b) * I;
        for (var i = 0u; i < I; i += 4u) {
          let w0 = first_of_quad(weight4(row0, first + i, quads), i, I);
          let w1 = first_of_quad(weight4(row1, first + i, quads), i, I);
          let x0 = quad_at(x + base, row, c0, window.W, I, i);
          let x1 = quad_at(x + base, row, c1, window.W, I, i);
          let x2 = quad_at(x + base, row, c2, window.W, I, i);
          let x3 = quad_at(x + base, row, c3, window.W, I, i);
          a0 += w0 * x0;
          a1 += w0 * x1;
          a2 += w0 * x2;
          a3 += w0 * x3;
          b0 += w1 * x0;
          b1 += w1 * x1;
          b2 += w1 * x2;
          b3 += w1 * x3;
        }
      }
    }
    let start = bias4(bias, o, O, biased);
    let first_sums = vec4<f32>(dot(a0, one), dot(a1, one), dot(a2, one), dot(a3, one)) + start.x;
    let second_sums = vec4<f32>(dot(b0, one), dot(b1, one), dot(b2, one), dot(b3, one)) + start.y;
    for (var n = 0u; n < 4u && v + n < window.V; n++) {
      let to = y + base + (u * window.V + v + n) * room_of(O) + o;
      work[to] = first_sums[n];
      if (o + 1u < O) { work[to + 1u] = second_sums[n]; }
    }
  }
}

// With one lane, where positions have few numbers (less than a quad) and outputs whole eights: the weights are turned over first, so
// that a number meets eight outputs at once. J: numbers of a window, at most FEW.
const FEW: u32 = 128u;  // numbers of a window times eights of outputs

fn is_few(I: u32, O: u32, window: Window) -> bool {
  return I < 4u && O % 8u == 0u && window.side * window.side * I * (O / 8u) <= FEW;
}

fn to_coarse_few(x: u32, weight: u32, bias: u32, biased: bool, y: u32, I: u32, O: u32, window: Window) {
  var turned: array<Eight, FEW>;
  let J = window.side * window.side * I;
  let quads = (J + 3u) / 4u;
  for (var n = 0u; n < J * O / 8u; n++) {
    let row = weight + n % (O / 8u) * 8u * quads + n / (O / 8u) / 4u;
    let j = n / (O / 8u) % 4u;
    turned[n] = Eight(
      vec4<f32>(weights[row][j], weights[row + quads][j], weights[row + 2u * quads][j], weights[row + 3u * quads][j]),
      vec4<f32>(weights[row + 4u * quads][j], weights[row + 5u * quads][j], weights[row + 6u * quads][j],
                weights[row + 7u * quads][j]));
  }
  for (var p = 0u; p < STREAMS * window.Y; p++) {
    let base = p / window.Y * STREAM;
    let u = p % window.Y / window.V;
    let v = p % window.V;
    for (var e = 0u; e < O / 8u; e++) {
      var sum = Eight(bias4(bias, 8u * e, O, biased), bias4(bias, 8u * e + 4u, O, biased));
      for (var a = 0u; a < window.side; a++) {
        let row = fine_of(u, a, window.X / window.W, window);
        if (row == NOWHERE) { continue; }
        for (var b = 0u; b < window.side; b++) {
          let column = fine_of(v, b, window.W, window);
          if (column == NOWHERE) { continue; }
          let at = x + base + (row * window.W + column) * 4u;
          let first = (a * window.side + b) * I;
          for (var i = 0u; i < I; i++) { sum = add_scaled8(sum, work[at + i], turned[(first + i) * (O / 8u) + e]); }
        }
      }
      put8(y + base + p % window.Y * O + 8u * e, sum);
    }
  }
}

fn gradient_few(coarse: u32, fine: u32, gradient: u32, I: u32, O: u32, window: Window) {
  let J = window.side * window.side * I;
  for (var s = 0u; s < STREAMS; s++) {
    let base = s * STREAM;
    var turned: array<Eight, FEW>;
    for (var p = 0u; p < window.Y; p++) {
      for (var a = 0u; a < window.side; a++) {
        let row = fine_of(p / window.V, a, window.X / window.W, window);
        if (row == NOWHERE) { continue; }
        for (var b = 0u; b < window.side; b++) {
          let column = fine_of(p % window.V, b, window.W, window);
          if (column == NOWHERE) { continue; }
          let at = fine + base + (row * window.W + column) * 4u;
          let first = (a * window.side + b) * I;
          for (var i = 0u; i < I; i++) {
            for (var e = 0u; e < O / 8u; e++) {
              let n = (first + i) * (O / 8u) + e;
              turned[n] = add_scaled8(turned[n], work[at + i], work8(coarse + base + p * O + 8u * e));
            }
          }
        }
      }
    }
    for (var n = 0u; n < J * O / 8u; n++) {
      let to = gradient + base + n % (O / 8u) * 8u * J + n / (O / 8u);
      for (var k = 0u; k < 4u; k++) {
        work[to + k * J] += turned[n].a[k];
        work[to + (k + 4u) * J] += turned[n].b[k];
      }
    }
  }
}

// To coarse positions: 4 of a row x 4 outputs.
fn to_coarse(x: u32, weight: u32, bias: u32, biased: bool, y: u32, I: u32, O: u32, window: Window, part: u32, parts: u32) {
  if (WG == 1u && I % 8u == 0u) {
    to_coarse_eights(x, weight, bias, biased, y, I, O, window, part, parts);
    return;
  }
  if (WG == 1u && parts == 1u && is_few(I, O, window)) {
    to_coarse_few(x, weight, bias, biased, y, I, O, window);
    return;
  }
  if (WG == 1u) {
    to_coarse_alone(x, weight, bias, biased, y, I, O, window, part, parts);
    return;
  }
  let H = window.X / window.W;
  let U = window.Y / window.V;
  let quads = (window.side * window.side * I + 3u) / 4u;
  let across = (window.V + 3u) / 4u;
  let outs = (O + 3u) / 4u;
  let tiles = STREAMS * U * across * outs;
  for (var tile = part * WG + lane; tile < tiles; tile += parts * WG) {
    let o = 4u * (tile % outs);
    let v = 4u * (tile / outs % across);
    let u = tile / (outs * across) % U;
    let base = tile / (outs * across * U) * STREAM;
    let row0 = weight + o * quads;
    let row1 = weight + min(o + 1u, O - 1u) * quads;  // rows behind the last are read again, and not written
    let row2 = weight + min(o + 2u, O - 1u) * quads;
    let row3 = weight + min(o + 3u, O - 1u) * quads;
    let start = bias4(bias, o, O, biased);
    var sum0 = start;
    var sum1 = start;
    var sum2 = start;
    var sum3 = start;
    for (var a = 0u; a < window.side; a++) {
      let row = fine_of(u, a, H, window);
      if (row == NOWHERE) { continue; }
      for (var b = 0u; b < window.side; b++) {
        let c0 = fine_of(v, b, window.W, window);
        let c1 = fine_of(v + 1u, b, window.W, window);
        let c2 = fine_of(v + 2u, b, window.W, window);
        let c3 = fine_of(v + 3u, b, window.W, window);
        let first = (a * window.side + b) * I;
        for (var i = 0u; i < I; i += 4u) {
          let w0 = weight4(row0, first + i, quads);
          let w1 = weight4(row1, first + i, quads);
          let w2 = weight4(row2, first + i, quads);
          let w3 = weight4(row3, first + i, quads);
          let x0 = first_of_quad(quad_at(x + base, row, c0, window.W, I, i), i, I);
          let x1 = first_of_quad(quad_at(x + base, row, c1, window.W, I, i), i, I);
          let x2 = first_of_quad(quad_at(x + base, row, c2, window.W, I, i), i, I);
          let x3 = first_of_quad(quad_at(x + base, row, c3, window.W, I, i), i, I);
          sum0 += vec4<f32>(dot(w0, x0), dot(w1, x0), dot(w2, x0), dot(w3, x0));
          sum1 += vec4<f32>(dot(w0, x1), dot(w1, x1), dot(w2, x1), dot(w3, x1));
          sum2 += vec4<f32>(dot(w0, x2), dot(w1, x2), dot(w2, x2), dot(w3, x2));
          sum3 += vec4<f32>(dot(w0, x3), dot(w1, x3), dot(w2, x3), dot(w3, x3));
        }
      }
    }
    let to = y + base + (u * window.V + v) * room_of(O);
    write4(to, sum0, o, O);
    if (v + 1u < window.V) { write4(to + room_of(O), sum1, o, O); }
    if (v + 2u < window.V) { write4(to + 2u * room_of(O), sum2, o, O); }
    if (v + 3u < window.V) { write4(to + 3u * room_of(O), sum3, o, O); }
  }
}

// What a coarse position's numbers o..o+3 give to four numbers of a fine one.
fn through(d: vec4<f32>, w0: vec4<f32>, w1: vec4<f32>, w2: vec4<f32>, w3: vec4<f32>) -> vec4<f32> {
  return d.x * w0 + d.y * w1 + d.z * w2 + d.w * w3;
}

// To fine positions: 4 of a row, one stride apart (so that all meet coarse ones at the same offsets), x 4 numbers.
fn to_fine(x: u32, weight: u32, bias: u32, biased: bool, y: u32, I: u32, O: u32, window: Window, part: u32, parts: u32) {
  if (WG == 1u && I % 16u == 0u) {
    to_fine_eights(x, weight, bias, biased, y, I, O, window, part, parts);
    return;
  }
  let H = window.X / window.W;
  let U = window.Y / window.V;
  let quads = (window.side * window.side * I + 3u) / 4u;
  let step = window.stride;
  let across = step * ((window.W + 4u * step - 1u) / (4u * step));
  let ins = (I + 3u) / 4u;
  let tiles = STREAMS * H * across * ins;
  for (var tile = part * WG + lane; tile < tiles; tile += parts * WG) {
    let i = 4u * (tile % ins);
    let strip = tile / ins % across;
    let column = strip / step * 4u * step + strip % step;
    let row = tile / (ins * across) % H;
    let base = tile / (ins * across * H) * STREAM;
    let start = bias4(bias, i, I, biased);
    var sum0 = start;
    var sum1 = start;
    var sum2 = start;
    var sum3 = start;
    for (var a = first_offset(row, window); a < window.side; a += step) {
      let u = coarse_of(row, a, U, window);
      if (u == NOWHERE) { continue; }
      for (var b = first_offset(column, window); b < window.side; b += step) {
        let v0 = coarse_of(column, b, window.V, window);
        let v1 = coarse_of(column + step, b, window.V, window);
        let v2 = coarse_of(column + 2u * step, b, window.V, window);
        let v3 = coarse_of(column + 3u * step, b, window.V, window);
        let first = (a * window.side + b) * I + i;
        for (var o = 0u; o < O; o += 4u) {
          let w0 = weight4(weight + o * quads, first, quads);
          let w1 = weight4(weight + min(o + 1u, O - 1u) * quads, first, quads);
          let w2 = weight4(weight + min(o + 2u, O - 1u) * quads, first, quads);
          let w3 = weight4(weight + min(o + 3u, O - 1u) * quads, first, quads);
          sum0 += through(first_of_quad(quad_at(x + base, u, v0, window.V, O, o), o, O), w0, w1, w2, w3);
          sum1 += through(first_of_quad(quad_at(x + base, u, v1, window.V, O, o), o, O), w0, w1, w2, w3);
          sum2 += through(first_of_quad(quad_at(x + base, u, v2, window.V, O, o), o, O), w0, w1, w2, w3);
          sum3 += through(first_of_quad(quad_at(x + base, u, v3, window.V, O, o), o, O), w0, w1, w2, w3);
        }
      }
    }
    let to = y + base + row * window.W * room_of(I);
    if (column < window.W) { write4(to + column * room_of(I), sum0, i, I); }
    if (column + step < window.W) { write4(to + (column + step) * room_of(I), sum1, i, I); }
    if (column + 2u * step < window.W) { write4(to + (column + 2u * step) * room_of(I), sum2, i, I); }
    if (column + 3u * step < window.W) { write4(to + (column + 3u * step) * room_of(I), sum3, i, I); }
  }
}

fn conv_forward(x: u32, weight: u32, bias: u32, y: u32, I: u32, O: u32, window: Window, part: u32, parts: u32) {
  to_coarse(x, weight, bias, true, y, I, O, window, part, parts);
}

fn conv_backward(dy: u32, weight: u32, dx: u32, I: u32, O: u32, window: Window, part: u32, parts: u32) {
  to_fine(dy, weight, 0u, false, dx, I, O, window, part, parts);
}

fn transposed_forward(x: u32, weight: u32, bias: u32, y: u32, I: u32, O: u32, window: Window, part: u32, parts: u32) {
  to_fine(x, weight, bias, true, y, I, O, window, part, parts);
}

fn transposed_backward(dy: u32, weight: u32, dx: u32, I: u32, O: u32, window: Window, part: u32, parts: u32) {
  to_coarse(dy, weight, 0u, false, dx, I, O, window, part, parts);
}

// Tiles of a stream's gradient: 4 rows x 4 numbers at one offset.
fn conv_gradient(coarse: u32, fine: u32, gradient: u32, I: u32, O: u32, window: Window, part: u32, parts: u32) {
  if (WG == 1u && parts == 1u && is_few(I, O, window)) {
    gradient_few(coarse, fine, gradient, I, O, window);
    return;
  }
  if (WG == 1u && I % 16u == 0u && O % 4u == 0u) {
    gradient_eights(coarse, fine, gradient, I, O, window, part, parts);
    return;
  }
  let H = window.X / window.W;
  let U = window.Y / window.V;
  let J = window.side * window.side * I;
  let ins = (I + 3u) / 4u;
  let outs = (O + 3u) / 4u;
  let offsets = window.side * window.side;
  let tiles = STREAMS * outs * offsets * ins;
  for (var tile = part * WG + lane; tile < tiles; tile += parts * WG) {
    let i = 4u * (tile % ins);
    let off = tile / ins % offsets;
    let o = 4u * (tile / (ins * offsets) % outs);
    let base = tile / (ins * offsets * outs) * STREAM;
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    for (var u = 0u; u < U; u++) {
      let row = fine_of(u, off / window.side, H, window);
      if (row == NOWHERE) { continue; }
      for (var v = 0u; v < window.V; v++) {
        let column = fine_of(v, off % window.side, window.W, window);
        if (column == NOWHERE) { continue; }
        let x = work4(fine + base + (row * window.W + column) * room_of(I) + i);
        let d = work4(coarse + base + (u * window.V + v) * room_of(O) + o);
        sum0 += d.x * x;
        sum1 += d.y * x;
        sum2 += d.z * x;
        sum3 += d.w * x;
      }
    }
    let to = gradient + base + off * I;
    add4(to + o * J, sum0, i, I);
    if (o + 1u < O) { add4(to + (o + 1u) * J, sum1, i, I); }
    if (o + 2u < O) { add4(to + (o + 2u) * J, sum2, i, I); }
    if (o + 3u < O) { add4(to + (o + 3u) * J, sum3, i, I); }
  }
}

fn add4(at: u32, v: vec4<f32>, i: u32, n: u32) {
  work[at + i] += v.x;
  if (i + 1u < n) { work[at + i + 1u] += v.y; }
  if (i + 2u < n) { work[at + i + 2u] += v.z; }
  if (i + 3u < n) { work[at + i + 3u] += v.w; }
}
