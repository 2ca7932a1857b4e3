// Updates: theta -= rate scale gradient, the gradient being sum_s coef[s] left[s] x right[s], never written out.
//   outer    weight (O, I), every entry               part: rows
//   vector   bias (D), every entry                    part: entries
//   rows     weight (N, I), the rows in a list of L   part: with one stream some of the list, with several some of N
//   entries  bias (N), the entries in a list of L     part: likewise
// Or by another rule of ops/rule.py, which remembers moment, power and, of rows that are only touched now and then, a count.
// Places: left, right, coef in work; rows in lists; weight, moment, power in weights (vec4, rows of ceil(I/4)); bias,
// bias_moment, bias_power, count in params.
// Dispatch: any number of parts. With several streams a row's owner adds the streams up in order: no atomics. With MANY a lane of
// `outer` makes the gradient of a tile, 4 rows x 4 columns, in registers.
// Workgroup memory: 20 bytes a lane.
@group(0) @binding(0) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> params: array<f32>;
@group(0) @binding(2) var<storage, read_write> work: array<f32>;
@group(0) @binding(3) var<storage, read_write> lists: array<u32>;
const WG: u32 = 64u;
const STREAMS: u32 = 1u;
const STREAM: u32 = 0u;
const LISTS: u32 = 0u;
const MANY: u32 = 4u;
var<private> lane: u32;
var<workgroup> found: array<u32, WG>;
var<workgroup> scratch4: array<vec4<f32>, WG>;

// How fast a row moves when `k` updates came before; see ops/rule.py.
struct Pace { rate: f32, epsilon: f32, shrink: f32 }

// 1 - exp(x) for x <= 0, without cancellation near 0.
fn below_one(x: f32) -> f32 {
  if (x < -0.5) { return 1.0 - exp(x); }
  return -x * (1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0 * (1.0 + x / 5.0 * (1.0 + x / 6.0 * (1.0 + x / 7.0))))));
}

fn pace(rate: f32, k: f32, log1: f32, log2: f32, epsilon: f32, decay: f32, slope: f32, least: f32) -> Pace {
  let now = rate * max(least, 1.0 / (1.0 + k * slope));
  var p = Pace(now, epsilon, 1.0 - now * decay);
  if (log2 != 0.0) {
    let corrected = sqrt(below_one((k + 1.0) * log2));
    p.epsilon *= corrected;
    p.rate *= corrected;
    if (log1 != 0.0) { p.rate /= below_one((k + 1.0) * log1); }
  }
  return p;
}

fn descend4(at: u32, moment: u32, power: u32, gradient: vec4<f32>, p: Pace, beta1: f32, beta2: f32) {
  var step = gradient;
  if (beta1 != 0.0) {
    let old = weights[moment];
    step = select(beta1 * old + gradient, old + (1.0 - beta1) * (gradient - old), beta2 != 0.0);
    weights[moment] = step;
  }
  if (beta2 != 0.0) {
    let mean = weights[power] + (1.0 - beta2) * (gradient * gradient - weights[power]);
    weights[power] = mean;
    step /= sqrt(mean) + p.epsilon;
  }
  weights[at] = p.shrink * weights[at] - p.rate * step;
}

fn descend(at: u32, moment: u32, power: u32, gradient: f32, p: Pace, beta1: f32, beta2: f32) {
  var step = gradient;
  if (beta1 != 0.0) {
    let old = params[moment];
    step = select(beta1 * old + gradient, old + (1.0 - beta1) * (gradient - old), beta2 != 0.0);
    params[moment] = step;
  }
  if (beta2 != 0.0) {
    let mean = params[power] + (1.0 - beta2) * (gradient * gradient - params[power]);
    params[power] = mean;
    step /= sqrt(mean) + p.epsilon;
  }
  params[at] = p.shrink * params[at] - p.rate * step;
}

// The sums of the values of the lanes that stand `stride` apart (a power of two), given to every one of them.
fn stride_sum4(value: vec4<f32>, stride: u32) -> vec4<f32> {
  if (stride == WG) { return value; }
  scratch4[lane] = value;
  for (var half = WG / 2u; half >= stride; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { scratch4[lane] += scratch4[lane + half]; }
  }
  workgroupBarrier();
  let total = scratch4[lane % stride];
  workgroupBarrier();
  return total;
}

// The smallest power of two that holds n, at most WG: how many lanes to set side by side for n items.
fn lanes_for(n: u32) -> u32 {
  return min(WG, 1u << (32u - countLeadingZeros(max(n, 1u) - 1u)));  // no loop: worked out before the kernel runs
}

fn work4(at: u32) -> vec4<f32> {
  return vec4<f32>(work[at], work[at + 1u], work[at + 2u], work[at + 3u]);
}

// Rows begin to last, 4 rows x 1 quad at a time.
fn update_tiles(left: u32, right: u32, coef: u32, weight: u32, moment: u32, power: u32, p: Pace, beta1: f32, beta2: f32,
                O: u32, Q: u32, begin: u32, last: u32) {
  let tiles = (last - begin + 3u) / 4u * Q;
  let at_once = lanes_for(tiles);
  for (var first = 0u; first < tiles; first += at_once) {
    let tile = min(first + lane % at_once, tiles - 1u);
    let q = tile % Q;
    let o = begin + 4u * (tile / Q);
    let o1 = min(o + 1u, O - 1u);  // rows behind the last are read again, and not written
    let o2 = min(o + 2u, O - 1u);
    let o3 = min(o + 3u, O - 1u);
    var sum = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    for (var s = lane / at_once; s < STREAMS; s += WG / at_once) {  // the lanes left over share the streams
      let base = s * STREAM;
      let right4 = work[coef + base] * work4(right + base + 4u * q);
      sum += work[left + base + o] * right4;
      sum1 += work[left + base + o1] * right4;
      sum2 += work[left + base + o2] * right4;
      sum3 += work[left + base + o3] * right4;
    }
    sum = stride_sum4(sum, at_once);
    sum1 = stride_sum4(sum1, at_once);
    sum2 = stride_sum4(sum2, at_once);
    sum3 = stride_sum4(sum3, at_once);
    if (lane < at_once && first + lane < tiles) {
      let at = o * Q + q;
      descend4(weight + at, moment + at, power + at, sum, p, beta1, beta2);
      let at1 = at + Q;
      if (o + 1u < last) { descend4(weight + at1, moment + at1, power + at1, sum1, p, beta1, beta2); }
      let at2 = at1 + Q;
      if (o + 2u < last) { descend4(weight + at2, moment + at2, power + at2, sum2, p, beta1, beta2); }
      let at3 = at2 + Q;
      if (o + 3u < last) { descend4(weight + at3, moment + at3, power + at3, sum3, p, beta1, beta2); }
    }
  }
}

fn outer_update(left: u32, right: u32, coef: u32, rate: f32, k: f32, weight: u32, moment: u32, power: u32,
                scale: f32, beta1: f32, beta2: f32, log1: f32, log2: f32, epsilon: f32, decay: f32, slope: f32, least: f32,
                O: u32, I: u32, part: u32, parts: u32) {
  let p = pace(rate * scale, k, log1, log2, epsilon, decay, slope, least);
  let Q = (I + 3u) / 4u;
  let share = (O + parts - 1u) / parts;
  let last = min(O, (part + 1u) * share);
  if (STREAMS >= MANY) {
    update_tiles(left, right, coef, weight, moment, power, p, beta1, beta2, O, Q, min(part * share, last), last);
    return;
  }
  let wide = lanes_for(Q);  // lanes side by side along a row, the lanes left over take other rows
  for (var q = lane % wide; q < Q; q += wide) {
    let right4 = work[coef] * work4(right + 4u * q);
    for (var o = part * share + lane / wide; o < last; o += WG / wide) {
      var gradient = work[left + o] * right4;
      for (var s = 1u; s < STREAMS; s++) {
        let base = s * STREAM;
        gradient += work[coef + base] * work[left + base + o] * work4(right + base + 4u * q);
      }
      let at = o * Q + q;
      descend4(weight + at, moment + at, power + at, gradient, p, beta1, beta2);
    }
  }
}

fn vector_update(left: u32, coef: u32, rate: f32, k: f32, bias: u32, moment: u32, power: u32,
                 scale: f32, beta1: f32, beta2: f32, log1: f32, log2: f32, epsilon: f32, decay: f32, slope: f32, least: f32,
                 D: u32, part: u32, parts: u32) {
  let p = pace(rate * scale, k, log1, log2, epsilon, decay, slope, least);
  let share = (D + parts - 1u) / parts;
  for (var i = part * share + lane; i < min(D, (part + 1u) * share); i += WG) {
    var gradient = 0.0;
    for (var s = 0u; s < STREAMS; s++) { gradient += work[coef + s * STREAM] * work[left + s * STREAM + i]; }
    descend(bias + i, moment + i, power + i, gradient, p, beta1, beta2);
  }
}

// Where row n stands in stream s's list with left != 0; L where it does not.
fn find(rows: u32, left: u32, s: u32, L: u32, n: u32) -> u32 {
  for (var l = 0u; l < L; l++) {
    if (lists[rows + s * LISTS + l] == n && !(work[left + s * STREAM + l] == 0.0)) { return l; }
  }
  return L;
}

fn rows_update(rows: u32, left: u32, right: u32, coef: u32, rate: f32, weight: u32, moment: u32, power: u32, count: u32,
               scale: f32, beta1: f32, beta2: f32, log1: f32, log2: f32, epsilon: f32, decay: f32, slope: f32, least: f32,
               L: u32, N: u32, I: u32, part: u32, parts: u32) {
  let Q = (I + 3u) / 4u;
  let counted = log2 != 0.0 || slope != 0.0;
  var k = 0.0;
  if (STREAMS == 1u) {
    for (var l = part; l < L; l += parts) {
      let step = work[coef] * work[left + l];
      if (!(step == 0.0)) {
        let n = lists[rows + l];
        if (counted) { k = params[count + n]; }
        let p = pace(rate * scale, k, log1, log2, epsilon, decay, slope, least);
        for (var q = lane; q < Q; q += WG) {
          let at = n * Q + q;
          descend4(weight + at, moment + at, power + at, step * work4(right + 4u * q), p, beta1, beta2);
        }
      }
    }
    if (counted) {
      storageBarrier();
      workgroupBarrier();  // every lane has read the counts before they move
      for (var l = part + lane * parts; l < L; l += parts * WG) {
        if (!(work[coef] * work[left + l] == 0.0)) { params[count + lists[rows + l]] += 1.0; }
      }
    }
    return;
  }
  for (var n = part; n < N; n += parts) {
    if (counted) { k = params[count + n]; }
    let p = pace(rate * scale, k, log1, log2, epsilon, decay, slope, least);
    var touched = false;
    for (var block = 0u; block < Q; block += WG) {
      let q = block + lane;
      var gradient = vec4<f32>();
      for (var first = 0u; first < STREAMS; first += WG) {
        found[lane] = L;  // where this row stands in the list of stream first + lane
        if (first + lane < STREAMS) { found[lane] = find(rows, left, first + lane, L, n); }
        workgroupBarrier();
        for (var other = 0u; other < min(WG, STREAMS - first); other++) {
          let base = (first + other) * STREAM;
          if (found[other] < L) {
            let factor = work[coef + base] * work[left + base + found[other]];
            touched = touched || !(factor == 0.0);
            if (q < Q) { gradient += factor * work4(right + base + 4u * q); }
          }
        }
        workgroupBarrier();
      }
      let at = n * Q + q;
      if (touched && q < Q) { descend4(weight + at, moment + at, power + at, gradient, p, beta1, beta2); }
    }
    if (counted && touched && lane == 0u) { params[count + n] = k + 1.0; }
  }
}

fn entries_update(rows: u32, left: u32, coef: u32, rate: f32, bias: u32, moment: u32, power: u32, count: u32,
                  scale: f32, beta1: f32, beta2: f32, log1: f32, log2: f32, epsilon: f32, decay: f32, slope: f32, least: f32,
                  L: u32, N: u32, part: u32, parts: u32) {
  let counted = log2 != 0.0 || slope != 0.0;
  let many = STREAMS > 1u;  // then a lane looks for the streams that have its entry
  let items = select(L, N, many);
  let share = (items + parts - 1u) / parts;
  for (var i = part * share + lane; i < min(items, (part + 1u) * share); i += WG) {
    var gradient = 0.0;
    var touched = false;
    var n = i;
    if (many) {
      for (var s = 0u; s < STREAMS; s++) {
        let l = find(rows, left, s, L, n);
        if (l < L) {
          let factor = work[coef + s * STREAM] * work[left + s * STREAM + l];
          touched = touched || !(factor == 0.0);
          gradient += factor;
        }
      }
    } else {
      gradient = work[coef] * work[left + i];
      touched = !(gradient == 0.0);
      n = lists[rows + i];
    }
    if (touched) {
      var k = 0.0;
      if (counted) {
        k = params[count + n];
        params[count + n] = k + 1.0;
      }
      let p = pace(rate * scale, k, log1, log2, epsilon, decay, slope, least);
      descend(bias + n, moment + n, power + n, gradient, p, beta1, beta2);
    }
  }
}
