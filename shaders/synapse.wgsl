// Distal synapses: rows of a matrix with P presynaptic places, read and changed only where row is in a list of L and
// place is in the context (index, value) of A entries.
//   forward   depolarisation[l] = bias[rows[l]] + sum_a weight[rows[l], index[a]] value[a]
//   backward  dvalue[a] = sum_l ddepolarisation[l] weight[rows[l], index[a]]
//   update    weight[rows[l], index[a]] -= rate scale coef left[l] value[a]; bias[rows[l]] -= rate bias_scale coef left[l]
//             (or by another rule of ops/rule.py, in the entries whose gradient is not 0)
// Places: rows (L) in lists; index in lists as [A, places...]; value, dvalue (A), (d)depolarisation, left (L), coef (1) in
// work; weight, bias and what the rule remembers of them, total in params. With one stream an update's part owns some of the
// L rows; with several it owns rows of the whole matrix and looks who has them, stream after stream: no atomics on floats, and
// always the same order.
// Dispatch: one workgroup a stream; update: any number of parts. Workgroup memory: 4 bytes a lane and 4,356 bytes.
@group(0) @binding(1) var<storage, read_write> params: array<f32>;
@group(0) @binding(2) var<storage, read_write> work: array<f32>;
@group(0) @binding(3) var<storage, read_write> lists: array<u32>;
const WG: u32 = 64u;
const STREAMS: u32 = 1u;
const STREAM: u32 = 0u;
const LISTS: u32 = 0u;
const ROWS: u32 = clamp(1024u / STREAMS, 1u, 32u);  // so many rows of a matrix are looked for at once,
const AT_ONCE: u32 = 1024u / ROWS;                  // in the lists of so many streams,
const WORDS: u32 = (AT_ONCE + 31u) / 32u;           // a bit each
var<private> lane: u32;
var<workgroup> scratch: array<f32, WG>;
var<workgroup> found: array<u32, 1024>;  // where the row stands in the stream's list, if its bit in `marks` is set
var<workgroup> marks: array<atomic<u32>, 64>;
var<workgroup> hits: u32;

// The sum of the values of each run of `span` lanes (a power of two), given to every lane of it.
fn span_sum(value: f32, span: u32) -> f32 {
  if (span == 1u) { return value; }
  scratch[lane] = value;
  for (var half = span / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane % span < half) { scratch[lane] += scratch[lane + half]; }
  }
  workgroupBarrier();
  let total = scratch[lane - lane % span];
  workgroupBarrier();
  return total;
}

// The smallest power of two that holds n, at most WG: how many lanes to set side by side for n items.
fn lanes_for(n: u32) -> u32 {
  return min(WG, 1u << (32u - countLeadingZeros(max(n, 1u) - 1u)));  // no loop: worked out before the kernel runs
}

fn synapse_forward(rows: u32, index: u32, value: u32, weight: u32, bias: u32, depolarisation: u32, L: u32, P: u32) {
  let A = lists[index];
  let at_once = lanes_for(L);  // rows side by side, the lanes left over share the context
  let span = WG / at_once;
  for (var first = 0u; first < L; first += at_once) {
    let l = first + lane / span;
    var sum = 0.0;
    if (l < L) {
      let row = weight + lists[rows + l] * P;
      var a = lane % span;
      for (; a + span < A; a += 2u * span) {  // two at a time: loops are dear
        sum += params[row + lists[index + 1u + a]] * work[value + a];
        sum += params[row + lists[index + 1u + a + span]] * work[value + a + span];
      }
      if (a < A) { sum += params[row + lists[index + 1u + a]] * work[value + a]; }
    }
    sum = span_sum(sum, span);
    if (l < L && lane % span == 0u) { work[depolarisation + l] = sum + params[bias + lists[rows + l]]; }
  }
}

fn synapse_backward(ddepolarisation: u32, rows: u32, index: u32, weight: u32, dvalue: u32, L: u32, P: u32) {
  let A = lists[index];
  for (var a = lane; a < A; a += WG) {
    let place = weight + lists[index + 1u + a];
    var sum = 0.0;
    for (var l = 0u; l < L; l++) {
      let d = work[ddepolarisation + l];
      if (!(d == 0.0)) { sum += d * params[place + lists[rows + l] * P]; }
    }
    work[dvalue + a] = sum;
  }
}

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

// A stream's gradient of row n, into the matrix (plain: the step itself) or into `total`.
fn add_stream(n: u32, index: u32, value: u32, factor: f32, weight: u32, total: u32, P: u32, rate: f32, plain: bool) {
  let A = lists[index];
  for (var a = lane; a < A; a += WG) {
    let entry = n * P + lists[index + 1u + a];
    if (plain) { params[weight + entry] -= rate * factor * work[value + a]; }
    else { params[total + entry] += factor * work[value + a]; }
  }
}

// Steps along what `total` holds at a stream's places of row n, and clears it: a place of several streams steps once.
fn step_stream(n: u32, index: u32, weight: u32, moment: u32, power: u32, total: u32, P: u32, p: Pace, beta1: f32, beta2: f32) {
  let A = lists[index];
  for (var a = lane; a < A; a += WG) {
    let entry = n * P + lists[index + 1u + a];
    let gradient = params[total + entry];
    if (!(gradient == 0.0)) {
      descend(weight + entry, moment + entry, power + entry, gradient, p, beta1, beta2);
      params[total + entry] = 0.0;
    }
  }
}

fn step_synapse(entry: u32, gradient: f32, weight: u32, moment: u32, power: u32, p: Pace, beta1: f32, beta2: f32) {
  if (!(gradient == 0.0)) { descend(weight + entry, moment + entry, power + entry, gradient, p, beta1, beta2); }
}

fn synapse_update(rows: u32, left: u32, index: u32, value: u32, coef: u32, rate: f32,
                  weight: u32, bias: u32, moment: u32, power: u32, count: u32, bias_moment: u32, bias_power: u32, total: u32,
                  scale: f32, bias_scale: f32, beta1: f32, beta2: f32, log1: f32, log2: f32, epsilon: f32, decay: f32, slope: f32,
                  least: f32, L: u32, N: u32, P: u32, part: u32, parts: u32) {
  let counted = log2 != 0.0 || slope != 0.0;
  var k = 0.0;
  if (STREAMS == 1u) {
    let A = lists[index];
    for (var l = part; l < L; l += parts) {
      let factor = work[coef] * work[left + l];
      if (!(factor == 0.0)) {
        let n = lists[rows + l];
        if (counted) { k = params[count + n]; }
        let p = pace(rate * scale, k, log1, log2, epsilon, decay, slope, least);
        for (var a = lane; a < A; a += 2u * WG) {  // two at a time: loops are dear
          step_synapse(n * P + lists[index + 1u + a], factor * work[value + a], weight, moment, power, p, beta1, beta2);
          if (a + WG < A) {
            step_synapse(n * P + lists[index + 1u + a + WG], factor * work[value + a + WG], weight, moment, power, p, beta1, beta2);
          }
        }
        if (lane == 0u) {
          let slow = pace(rate * bias_scale, k, log1, log2, epsilon, decay, slope, least);
          descend(bias + n, bias_moment + n, bias_power + n, factor, slow, beta1, beta2);
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
  let plain = beta1 == 0.0 && beta2 == 0.0 && decay == 0.0;
  let share = (N + parts - 1u) / parts;
  let last = min(N, (part + 1u) * share);
  for (var begin = part * share; begin < last; begin += ROWS) {
    let end = min(last, begin + ROWS);
    var sum = 0.0;
    var touched = 0u;  // a bit for each row
    for (var turn = 0u; turn < select(2u, 1u, plain); turn++) {
      for (var first = 0u; first < STREAMS; first += AT_ONCE) {
        if (turn == 0u || AT_ONCE < STREAMS) { mark(rows, left, coef, L, begin, end, first); }
        for (var n = begin; n < end; n++) {
          let r = n - begin;
          if (lane == 0u) {
            hits = 0u;
            for (var word = 0u; word < WORDS; word++) { hits += countOneBits(atomicLoad(&marks[r * WORDS + word])); }
          }
          let streams = workgroupUniformLoad(&hits);
          if (first == 0u && turn == 0u) { sum = 0.0; }
          if (streams > 0u && counted) { k = params[count + n]; }
          let p = pace(rate * scale, k, log1, log2, epsilon, decay, slope, least);
          var word = 0u;
          var bits = atomicLoad(&marks[r * WORDS]);
          for (var hit = 0u; hit < streams; hit++) {
            while (bits == 0u) {
              word++;
              bits = atomicLoad(&marks[r * WORDS + word]);
            }
            let t = 32u * word + firstTrailingBit(bits);
            bits &= bits - 1u;
            let s = first + t;
            if (turn == 0u) {
              let factor = work[coef + s * STREAM] * work[left + s * STREAM + found[r * AT_ONCE + t]];
              add_stream(n, index + s * LISTS, value + s * STREAM, factor, weight, total, P, p.rate, plain);
              sum += factor;
              touched |= 1u << r;
            } else {
              step_stream(n, index + s * LISTS, weight, moment, power, total, P, p, beta1, beta2);
            }
            storageBarrier();
            workgroupBarrier();
          }
          if (lane == 0u && turn == 0u && first + AT_ONCE >= STREAMS && extractBits(touched, r, 1u) != 0u) {
            let slow = pace(rate * bias_scale, k, log1, log2, epsilon, decay, slope, least);
            descend(bias + n, bias_moment + n, bias_power + n, sum, slow, beta1, beta2);
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
