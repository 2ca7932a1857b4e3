// Distal synapses of large memories. Rows of F synapses; the P places lie in F stretches (stretch f: f P / F .. (f + 1) P / F - 1)
// and a row sees one place of each, place begin + mix32(mix32(mix32(pool) ^ row) ^ f) % length, with its synapse f; it counts
// G = sqrt(P / F) times. Read and changed only where row is in a list of L and place is in the context (index, value) of A entries.
//   forward   depolarisation[l] = bias[rows[l]] + G sum_a weight[rows[l], f] value[a], over the a that rows[l] sees
//   backward  dvalue[a] = G sum_l ddepolarisation[l] weight[rows[l], f], over the l that see index[a]
//   update    weight[rows[l], f] -= rate scale coef left[l] G value[a]; bias[rows[l]] -= rate bias_scale coef left[l]
//             (or by another rule of ops/rule.py, in the entries whose gradient is not 0)
//   square    squares[slot] = scale sum_l left[l]^2 (1 + G^2 sum_a value[a]^2), over the a that rows[l] sees
// Places: rows (L) in lists; index in lists as [A, places...]; value, dvalue (A), (d)depolarisation, left (L), coef (1), squares in
// work; pool (1), weight, bias and what the rule remembers of them, total in params. With one stream an update's part owns some
// of the L rows; with several it owns rows of the whole matrix and looks who has them, stream after stream: no atomics, and
// always the same order. Two entries of a context never meet in one synapse: each lane has some to itself.
// Dispatch: one workgroup a stream; update: any number of parts. Workgroup memory: 8 bytes a lane.
@group(0) @binding(1) var<storage, read_write> params: array<f32>;
@group(0) @binding(2) var<storage, read_write> work: array<f32>;
@group(0) @binding(3) var<storage, read_write> lists: array<u32>;
const WG: u32 = 64u;
const STREAMS: u32 = 1u;
const STREAM: u32 = 0u;
const LISTS: u32 = 0u;
var<private> lane: u32;
var<workgroup> scratch: array<f32, WG>;
var<workgroup> standing: array<u32, WG>;

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

// A 32-bit mix (the finaliser lowbias32 of C. Wellons, 2018: public domain), the same as in the reference.
fn mix32(n: u32) -> u32 {
  var x = n ^ (n >> 16u);
  x *= 0x7feb352du;
  x ^= x >> 15u;
  x *= 0x846ca68bu;
  return x ^ (x >> 16u);
}

// What all draws of a pool hang on; those of one of its rows hang on mix32(pool_noise ^ row).
fn pool_noise(pool: u32) -> u32 {
  return mix32(u32(params[pool]));
}

// The synapse with which a row of this noise sees the place; F where it does not.
fn synapse_at(noise: u32, place: u32, F: u32, P: u32) -> u32 {
  let f = ((place + 1u) * F - 1u) / P;
  let begin = f * P / F;
  let length = (f + 1u) * P / F - begin;
  return select(F, f, mix32(noise ^ f) % length == place - begin);
}

// How much a place counts that a row sees, for those that it does not see.
fn weight_of_sight(F: u32, P: u32) -> f32 {
  return sqrt(f32(P) / f32(F));
}

fn pool_forward(rows: u32, index: u32, value: u32, weight: u32, bias: u32, pool: u32, depolarisation: u32, L: u32, F: u32, P: u32) {
  let A = lists[index];
  let base = pool_noise(pool);
  let at_once = lanes_for(L);  // rows side by side, the lanes left over share the context
  let span = WG / at_once;
  for (var first = 0u; first < L; first += at_once) {
    let l = first + lane / span;
    var sum = 0.0;
    if (l < L) {
      let row = lists[rows + l];
      let noise = mix32(base ^ row);
      for (var a = lane % span; a < A; a += span) {
        let f = synapse_at(noise, lists[index + 1u + a], F, P);
        if (f < F) { sum += params[weight + row * F + f] * work[value + a]; }
      }
    }
    sum = span_sum(sum, span);
    if (l < L && lane % span == 0u) { work[depolarisation + l] = weight_of_sight(F, P) * sum + params[bias + lists[rows + l]]; }
  }
}

fn pool_backward(ddepolarisation: u32, rows: u32, index: u32, weight: u32, pool: u32, dvalue: u32, L: u32, F: u32, P: u32) {
  let A = lists[index];
  let base = pool_noise(pool);
  for (var a = lane; a < A; a += WG) {
    let place = lists[index + 1u + a];
    var sum = 0.0;
    for (var l = 0u; l < L; l++) {
      let d = work[ddepolarisation + l];
      if (!(d == 0.0)) {
        let row = lists[rows + l];
        let f = synapse_at(mix32(base ^ row), place, F, P);
        if (f < F) { sum += d * params[weight + row * F + f]; }
      }
    }
    work[dvalue + a] = weight_of_sight(F, P) * sum;
  }
}

fn pool_square(left: u32, rows: u32, index: u32, value: u32, pool: u32, squares: u32, slot: u32, scale: f32, L: u32, F: u32, P: u32) {
  let A = lists[index];
  let base = pool_noise(pool);
  let at_once = lanes_for(L);
  let span = WG / at_once;
  var sum = 0.0;
  for (var first = 0u; first < L; first += at_once) {
    let l = first + lane / span;
    if (l < L) {
      let noise = mix32(base ^ lists[rows + l]);
      var seen = 0.0;
      for (var a = lane % span; a < A; a += span) {
        if (synapse_at(noise, lists[index + 1u + a], F, P) < F) { seen += work[value + a] * work[value + a]; }
      }
      let own = select(0.0, 1.0, lane % span == 0u);  // the bias
      sum += work[left + l] * work[left + l] * (own + f32(P) / f32(F) * seen);
    }
  }
  sum = span_sum(sum, WG);
  if (lane == 0u) { work[squares + slot] = scale * sum; }
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

// Where row n stands in stream s's list with left != 0; L where it does not.
fn find(rows: u32, left: u32, s: u32, L: u32, n: u32) -> u32 {
  for (var l = 0u; l < L; l++) {
    if (lists[rows + s * LISTS + l] == n && !(work[left + s * STREAM + l] == 0.0)) { return l; }
  }
  return L;
}

// A stream's gradient of row n, into `total`.
fn gather_pool(n: u32, noise: u32, index: u32, value: u32, factor: f32, total: u32, F: u32, P: u32) {
  let A = lists[index];
  let sight = factor * weight_of_sight(F, P);
  for (var a = lane; a < A; a += WG) {
    let f = synapse_at(noise, lists[index + 1u + a], F, P);
    if (f < F) { params[total + n * F + f] += sight * work[value + a]; }
  }
}

// Steps along what `total` holds at a stream's places of row n, and clears it: a place of several streams steps once.
fn step_pool(n: u32, noise: u32, index: u32, weight: u32, moment: u32, power: u32, total: u32, F: u32, P: u32, p: Pace,
             beta1: f32, beta2: f32) {
  let A = lists[index];
  for (var a = lane; a < A; a += WG) {
    let f = synapse_at(noise, lists[index + 1u + a], F, P);
    if (f < F) {
      let entry = n * F + f;
      let gradient = params[total + entry];
      if (!(gradient == 0.0)) {
        descend(weight + entry, moment + entry, power + entry, gradient, p, beta1, beta2);
        params[total + entry] = 0.0;
      }
    }
  }
}

// With one stream, or where a step is a sum over streams (plain): along a stream's gradient of row n at once.
fn descend_pool(n: u32, noise: u32, index: u32, value: u32, factor: f32, weight: u32, moment: u32, power: u32, F: u32, P: u32,
                p: Pace, beta1: f32, beta2: f32) {
  let A = lists[index];
  let sight = factor * weight_of_sight(F, P);
  for (var a = lane; a < A; a += WG) {
    let f = synapse_at(noise, lists[index + 1u + a], F, P);
    let gradient = sight * work[value + a];
    if (f < F && !(gradient == 0.0)) {
      let entry = n * F + f;
      descend(weight + entry, moment + entry, power + entry, gradient, p, beta1, beta2);
    }
  }
}

fn pool_update(rows: u32, left: u32, index: u32, value: u32, coef: u32, rate: f32, pool: u32,
               weight: u32, bias: u32, moment: u32, power: u32, count: u32, bias_moment: u32, bias_power: u32, total: u32,
               scale: f32, bias_scale: f32, beta1: f32, beta2: f32, log1: f32, log2: f32, epsilon: f32, decay: f32, slope: f32,
               least: f32, L: u32, N: u32, F: u32, P: u32, part: u32, parts: u32) {
  let counted = log2 != 0.0 || slope != 0.0;
  let base = pool_noise(pool);
  var k = 0.0;
  if (STREAMS == 1u) {
    for (var l = part; l < L; l += parts) {
      let factor = work[coef] * work[left + l];
      if (!(factor == 0.0)) {
        let n = lists[rows + l];
        if (counted) { k = params[count + n]; }
        let p = pace(rate * scale, k, log1, log2, epsilon, decay, slope, least);
        descend_pool(n, mix32(base ^ n), index, value, factor, weight, moment, power, F, P, p, beta1, beta2);
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
  for (var n = part; n < N; n += parts) {
    if (counted) { k = params[count + n]; }
    let p = pace(rate * scale, k, log1, log2, epsilon, decay, slope, least);
    let noise = mix32(base ^ n);
    var sum = 0.0;
    var touched = false;
    for (var turn = 0u; turn < select(2u, 1u, plain); turn++) {
      for (var first = 0u; first < STREAMS; first += WG) {
        standing[lane] = L;  // where this row stands in the list of stream first + lane
        if (first + lane < STREAMS) { standing[lane] = find(rows, left, first + lane, L, n); }
        workgroupBarrier();
        for (var other = 0u; other < min(WG, STREAMS - first); other++) {
          let l = standing[other];
          if (l < L) {
            let s = first + other;
            let theirs = index + s * LISTS;
            let factor = work[coef + s * STREAM] * work[left + s * STREAM + l];
            if (turn == 1u) {
              step_pool(n, noise, theirs, weight, moment, power, total, F, P, p, beta1, beta2);
            } else {
              if (plain) {
                descend_pool(n, noise, theirs, value + s * STREAM, factor, weight, moment, power, F, P, p, beta1, beta2);
              } else {
                gather_pool(n, noise, theirs, value + s * STREAM, factor, total, F, P);
              }
              sum += factor;
              touched = touched || !(factor == 0.0);
            }
          }
          storageBarrier();
          workgroupBarrier();
        }
      }
    }
    if (touched && lane == 0u) {
      let slow = pace(rate * bias_scale, k, log1, log2, epsilon, decay, slope, least);
      descend(bias + n, bias_moment + n, bias_power + n, sum, slow, beta1, beta2);
      if (counted) { params[count + n] = k + 1.0; }
    }
  }
}
