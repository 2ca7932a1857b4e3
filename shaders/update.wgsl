// Updates: theta -= rate scale gradient, the gradient being sum_s coef[s] left[s] x right[s], never written out.
//   outer    weight (O, I), every entry               part: rows
//   vector   bias (D), every entry                    part: entries
//   rows     weight (N, I), the rows in a list of L   part: with one stream some of the list, with several some of N, ROWS at a time
//   lazy     weight (O, I), the rows with left != 0   part: rows
//   entries  bias (N), the entries in a list of L     part: likewise
// Or by another rule of ops/rule.py, which remembers moment, power and, of rows that are only touched now and then, a count.
// Places: left, right, coef in work; rows in lists; weight, moment, power in weights (vec4, rows of ceil(I/4)); bias,
// bias_moment, bias_power, count in params.
// Dispatch: any number of parts. With several streams a row's owner adds the streams up in order: no atomics on floats. With MANY
// a lane of `outer` makes the gradient of a tile, 4 rows x 4 columns, in registers.
// Workgroup memory: 16 bytes a lane and 4,352 bytes.
@group(0) @binding(0) var<storage, read_write> weights: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> params: array<f32>;
@group(0) @binding(2) var<storage, read_write> work: array<f32>;
@group(0) @binding(3) var<storage, read_write> lists: array<u32>;
const WG: u32 = 64u;
const STREAMS: u32 = 1u;
const STREAM: u32 = 0u;
const LISTS: u32 = 0u;
const MANY: u32 = 4u;
const ROWS: u32 = clamp(1024u / STREAMS, 1u, 32u);  // so many rows of a matrix are looked for at once,
const AT_ONCE: u32 = 1024u / ROWS;                  // in the lists of so many streams,
const WORDS: u32 = (AT_ONCE + 31u) / 32u;           // a bit each
var<private> lane: u32;
var<workgroup> found: array<u32, 1024>;  // where the row stands in the stream's list, if its bit in `marks` is set
var<workgroup> marks: array<atomic<u32>, 64>;
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

fn is_touched(left: u32, coef: u32, o: u32) -> bool {
  for (var s = 0u; s < STREAMS; s++) {
    if (!(work[coef + s * STREAM] * work[left + s * STREAM + o] == 0.0)) { return true; }
  }
  return false;
}

fn lazy_update(left: u32, right: u32, coef: u32, rate: f32, weight: u32, moment: u32, power: u32, count: u32,
               scale: f32, beta1: f32, beta2: f32, log1: f32, log2: f32, epsilon: f32, decay: f32, slope: f32, least: f32,
               O: u32, I: u32, part: u32, parts: u32) {
  let Q = (I + 3u) / 4u;
  let share = (O + parts - 1u) / parts;
  let last = min(O, (part + 1u) * share);
  let wide = lanes_for(Q);  // lanes side by side along a row, the lanes left over take other rows
  let counted = log2 != 0.0 || slope != 0.0;
  var k = 0.0;
  for (var o = part * share + lane / wide; o < last; o += WG / wide) {
    if (is_touched(left, coef, o)) {
      if (counted) { k = params[count + o]; }
      let p = pace(rate * scale, k, log1, log2, epsilon, decay, slope, least);
      for (var q = lane % wide; q < Q; q += wide) {
        var gradient = vec4<f32>();
        for (var s = 0u; s < STREAMS; s++) {
          let base = s * STREAM;
          let factor = work[coef + base] * work[left + base + o];
          if (!(factor == 0.0)) { gradient += factor * work4(right + base + 4u * q); }
        }
        let at = o * Q + q;
        descend4(weight + at, moment + at, power + at, gradient, p, beta1, beta2);
      }
    }
  }
  if (counted) {
    storageBarrier();
    workgroupBarrier();  // every lane has read the counts before they move
    for (var o = part * share + lane; o < last; o += WG) {
      if (is_touched(left, coef, o)) { params[count + o] += 1.0; }
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

// Notes in which lists of streams first, first + 1, ... (AT_ONCE of them) rows begin to end stand with coef left != 0, and where.
// One pass over the lists serves all these rows.
fn mark(rows: u32, left: u32, coef: u32, L: u32, begin: u32, end: u32, first: u32) {
  for (var i = lane; i < ROWS * WORDS; i += WG) { atomicStore(&marks[i], 0u); }
  workgroupBarrier();
  for (var i = lane; i < min(AT_ONCE, STREAMS - first) * L; i += WG) {
    let t = i / L;
    let s = first + t;
    let n = lists[rows + s * LISTS + i % L];
    if (n >= begin && n < end) {
      if (!(work[coef + s * STREAM] * work[left + s * STREAM + i % L] == 0.0)) {
        found[(n - begin) * AT_ONCE + t] = i % L;
        atomicOr(&marks[(n - begin) * WORDS + t / 32u], 1u << (t % 32u));  // no other lane has this bit: the order does not matter
      }
    }
  }
  workgroupBarrier();
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
  let share = (N + parts - 1u) / parts;
  let last = min(N, (part + 1u) * share);
  for (var begin = part * share; begin < last; begin += ROWS) {
    let end = min(last, begin + ROWS);
    var touched = 0u;  // a bit for each row
    for (var block = 0u; block < Q; block += WG) {
      let q = block + lane;
      var gradient = vec4<f32>();
      for (var first = 0u; first < STREAMS; first += AT_ONCE) {
        if (block == 0u || AT_ONCE < STREAMS) { mark(rows, left, coef, L, begin, end, first); }
        for (var n = begin; n < end; n++) {
          let r = n - begin;
          if (first == 0u) { gradient = vec4<f32>(); }
          for (var word = 0u; word < WORDS; word++) {
            for (var bits = atomicLoad(&marks[r * WORDS + word]); bits != 0u; bits &= bits - 1u) {
              let t = 32u * word + firstTrailingBit(bits);
              let base = (first + t) * STREAM;
              let factor = work[coef + base] * work[left + base + found[r * AT_ONCE + t]];
              touched |= 1u << r;
              if (q < Q) { gradient += factor * work4(right + base + 4u * q); }
            }
          }
          if (first + AT_ONCE >= STREAMS && extractBits(touched, r, 1u) != 0u && q < Q) {
            if (counted) { k = params[count + n]; }
            let p = pace(rate * scale, k, log1, log2, epsilon, decay, slope, least);
            let at = n * Q + q;
            descend4(weight + at, moment + at, power + at, gradient, p, beta1, beta2);
          }
        }
        workgroupBarrier();  // every lane has read the marks, and the counts, before they change
      }
    }
    if (counted) {
      for (var n = begin + lane; n < end; n += WG) {
        if (extractBits(touched, n - begin, 1u) != 0u) { params[count + n] += 1.0; }
      }
    }
  }
}

fn step_entry(n: u32, gradient: f32, counted: bool, rate: f32, bias: u32, moment: u32, power: u32, count: u32,
              scale: f32, beta1: f32, beta2: f32, log1: f32, log2: f32, epsilon: f32, decay: f32, slope: f32, least: f32) {
  var k = 0.0;
  if (counted) {
    k = params[count + n];
    params[count + n] = k + 1.0;
  }
  let p = pace(rate * scale, k, log1, log2, epsilon, decay, slope, least);
  descend(bias + n, moment + n, power + n, gradient, p, beta1, beta2);
}

fn entries_update(rows: u32, left: u32, coef: u32, rate: f32, bias: u32, moment: u32, power: u32, count: u32,
                  scale: f32, beta1: f32, beta2: f32, log1: f32, log2: f32, epsilon: f32, decay: f32, slope: f32, least: f32,
                  L: u32, N: u32, part: u32, parts: u32) {
  let counted = log2 != 0.0 || slope != 0.0;
  if (STREAMS == 1u) {
    let share = (L + parts - 1u) / parts;
    for (var l = part * share + lane; l < min(L, (part + 1u) * share); l += WG) {
      let gradient = work[coef] * work[left + l];
      if (!(gradient == 0.0)) {
        step_entry(lists[rows + l], gradient, counted, rate, bias, moment, power, count, scale, beta1, beta2, log1, log2, epsilon,
                   decay, slope, least);
      }
    }
    return;
  }
  let share = (N + parts - 1u) / parts;
  let last = min(N, (part + 1u) * share);
  for (var begin = part * share; begin < last; begin += ROWS) {
    let end = min(last, begin + ROWS);
    var gradient = 0.0;
    var touched = false;
    for (var first = 0u; first < STREAMS; first += AT_ONCE) {
      mark(rows, left, coef, L, begin, end, first);
      for (var n = begin + lane; n < end; n += WG) {
        if (first == 0u) {
          gradient = 0.0;
          touched = false;
        }
        for (var word = 0u; word < WORDS; word++) {
          for (var bits = atomicLoad(&marks[(n - begin) * WORDS + word]); bits != 0u; bits &= bits - 1u) {
            let t = 32u * word + firstTrailingBit(bits);
            let base = (first + t) * STREAM;
            gradient += work[coef + base] * work[left + base + found[(n - begin) * AT_ONCE + t]];
            touched = true;
          }
        }
        if (first + AT_ONCE >= STREAMS && touched) {
          step_entry(n, gradient, counted, rate, bias, moment, power, count, scale, beta1, beta2, log1, log2, epsilon, decay, slope,
                     least);
        }
      }
      workgroupBarrier();  // every lane has read the marks before they change
    }
  }
}
