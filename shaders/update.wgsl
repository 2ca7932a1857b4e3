// Updates: theta -= rate scale gradient, the gradient being sum_s coef[s] left[s] x right[s], never written out.
//   outer    weight (O, I), every entry               part: rows
//   vector   bias (D), every entry                    part: entries
//   rows     weight (N, I), the rows in a list of L   part: with one stream some of the list, with several some of N
//   entries  bias (N), the entries in a list of L     part: likewise
// With momentum: moment = momentum moment + gradient (of what is touched), and it is the moment that theta steps along.
// Places: left, right, coef in work; rows in lists; weight, moment in weights (vec4, rows of ceil(I/4)); bias,
// bias_moment in params.
// Dispatch: any number of parts. With several streams a row's owner adds the streams up in order: no atomics.
// Workgroup memory: 4 bytes a lane.
@group(0) @binding(0) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> params: array<f32>;
@group(0) @binding(2) var<storage, read_write> work: array<f32>;
@group(0) @binding(3) var<storage, read_write> lists: array<u32>;
const WG: u32 = 64u;
const STREAMS: u32 = 1u;
const STREAM: u32 = 0u;
const LISTS: u32 = 0u;
var<private> lane: u32;
var<workgroup> found: array<u32, WG>;

fn descend4(at: u32, moment: u32, gradient: vec4<f32>, rate: f32, momentum: f32) {
  var step = gradient;
  if (momentum != 0.0) {
    step += momentum * weights[moment];
    weights[moment] = step;
  }
  weights[at] -= rate * step;
}

fn descend(at: u32, moment: u32, gradient: f32, rate: f32, momentum: f32) {
  var step = gradient;
  if (momentum != 0.0) {
    step += momentum * params[moment];
    params[moment] = step;
  }
  params[at] -= rate * step;
}

// The smallest power of two that holds n, at most WG: how many lanes to set side by side for n items.
fn lanes_for(n: u32) -> u32 {
  var lanes = 1u;
  while (lanes < n && lanes < WG) { lanes *= 2u; }
  return lanes;
}

fn work4(at: u32) -> vec4<f32> {
  return vec4<f32>(work[at], work[at + 1u], work[at + 2u], work[at + 3u]);
}

fn outer_update(left: u32, right: u32, coef: u32, rate: f32, weight: u32, moment: u32, scale: f32, momentum: f32,
                O: u32, I: u32, part: u32, parts: u32) {
  let Q = (I + 3u) / 4u;
  let share = (O + parts - 1u) / parts;
  let last = min(O, (part + 1u) * share);
  let wide = lanes_for(Q);  // lanes side by side along a row, the lanes left over take other rows
  for (var q = lane % wide; q < Q; q += wide) {
    let right4 = work[coef] * work4(right + 4u * q);
    for (var o = part * share + lane / wide; o < last; o += WG / wide) {
      var gradient = work[left + o] * right4;
      for (var s = 1u; s < STREAMS; s++) {
        let base = s * STREAM;
        gradient += work[coef + base] * work[left + base + o] * work4(right + base + 4u * q);
      }
      descend4(weight + o * Q + q, moment + o * Q + q, gradient, rate * scale, momentum);
    }
  }
}

fn vector_update(left: u32, coef: u32, rate: f32, bias: u32, moment: u32, scale: f32, momentum: f32, D: u32,
                 part: u32, parts: u32) {
  let share = (D + parts - 1u) / parts;
  for (var i = part * share + lane; i < min(D, (part + 1u) * share); i += WG) {
    var gradient = 0.0;
    for (var s = 0u; s < STREAMS; s++) { gradient += work[coef + s * STREAM] * work[left + s * STREAM + i]; }
    descend(bias + i, moment + i, gradient, rate * scale, momentum);
  }
}

// Where row n stands in stream s's list with left != 0; L where it does not.
fn find(rows: u32, left: u32, s: u32, L: u32, n: u32) -> u32 {
  for (var l = 0u; l < L; l++) {
    if (lists[rows + s * LISTS + l] == n && !(work[left + s * STREAM + l] == 0.0)) { return l; }
  }
  return L;
}

fn rows_update(rows: u32, left: u32, right: u32, coef: u32, rate: f32, weight: u32, moment: u32,
               scale: f32, momentum: f32, L: u32, N: u32, I: u32, part: u32, parts: u32) {
  let Q = (I + 3u) / 4u;
  if (STREAMS == 1u) {
    for (var l = part; l < L; l += parts) {
      let step = work[coef] * work[left + l];
      if (!(step == 0.0)) {
        let row = lists[rows + l] * Q;
        for (var q = lane; q < Q; q += WG) {
          descend4(weight + row + q, moment + row + q, step * work4(right + 4u * q), rate * scale, momentum);
        }
      }
    }
    return;
  }
  for (var n = part; n < N; n += parts) {
    for (var block = 0u; block < Q; block += WG) {
      let q = block + lane;
      var gradient = vec4<f32>();
      var touched = false;
      for (var first = 0u; first < STREAMS; first += WG) {
        found[lane] = L;  // where this row stands in the list of stream first + lane
        if (first + lane < STREAMS) { found[lane] = find(rows, left, first + lane, L, n); }
        workgroupBarrier();
        for (var other = 0u; other < min(WG, STREAMS - first); other++) {
          let base = (first + other) * STREAM;
          if (found[other] < L) {
            touched = true;
            if (q < Q) { gradient += work[coef + base] * work[left + base + found[other]] * work4(right + base + 4u * q); }
          }
        }
        workgroupBarrier();
      }
      if (touched && q < Q) { descend4(weight + n * Q + q, moment + n * Q + q, gradient, rate * scale, momentum); }
    }
  }
}

fn entries_update(rows: u32, left: u32, coef: u32, rate: f32, bias: u32, moment: u32, scale: f32, momentum: f32,
                  L: u32, N: u32, part: u32, parts: u32) {
  if (STREAMS == 1u) {
    let share = (L + parts - 1u) / parts;
    for (var l = part * share + lane; l < min(L, (part + 1u) * share); l += WG) {
      let step = work[coef] * work[left + l];
      let row = lists[rows + l];
      if (!(step == 0.0)) { descend(bias + row, moment + row, step, rate * scale, momentum); }
    }
    return;
  }
  let share = (N + parts - 1u) / parts;
  for (var n = part * share + lane; n < min(N, (part + 1u) * share); n += WG) {
    var gradient = 0.0;
    var touched = false;
    for (var s = 0u; s < STREAMS; s++) {
      let l = find(rows, left, s, L, n);
      if (l < L) {
        touched = true;
        gradient += work[coef + s * STREAM] * work[left + s * STREAM + l];
      }
    }
    if (touched) { descend(bias + n, moment + n, gradient, rate * scale, momentum); }
  }
}
