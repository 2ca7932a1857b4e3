// Distal synapses: rows of a matrix with P presynaptic places, read and changed only where row is in a list of L and
// place is in the context (index, value) of A entries.
//   forward   depolarisation[l] = bias[rows[l]] + sum_a weight[rows[l], index[a]] value[a]
//   backward  dvalue[a] = sum_l ddepolarisation[l] weight[rows[l], index[a]]
//   update    weight[rows[l], index[a]] -= rate scale coef left[l] value[a]; bias[rows[l]] -= rate bias_scale coef left[l]
//             (with momentum: moment = momentum moment + gradient of what is touched, and theta steps along the moment)
// Places: rows (L) in lists; index in lists as [A, places...]; value, dvalue (A), (d)depolarisation, left (L), coef (1) in
// work; weight, bias and their moments in params. With one stream an update's part owns some of the L rows; with several it owns rows of
// the whole matrix and looks who has them, stream after stream: no atomics, and always the same order.
// Dispatch: one workgroup a stream; update: any number of parts. Workgroup memory: 8 bytes a lane + 4 KiB.
@group(0) @binding(1) var<storage, read_write> params: array<f32>;
@group(0) @binding(2) var<storage, read_write> work: array<f32>;
@group(0) @binding(3) var<storage, read_write> lists: array<u32>;
const WG: u32 = 64u;
const STREAMS: u32 = 1u;
const STREAM: u32 = 0u;
const LISTS: u32 = 0u;
const SEEN: u32 = 32768u;  // bits of `seen`
var<private> lane: u32;
var<workgroup> scratch: array<f32, WG>;
var<workgroup> found: array<u32, WG>;
var<workgroup> seen: array<atomic<u32>, 1024>;

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
  var lanes = 1u;
  while (lanes < n && lanes < WG) { lanes *= 2u; }
  return lanes;
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
      for (var a = lane % span; a < A; a += span) { sum += params[row + lists[index + 1u + a]] * work[value + a]; }
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

fn descend(at: u32, moment: u32, gradient: f32, rate: f32, momentum: f32) {
  var step = gradient;
  if (momentum != 0.0) {
    step += momentum * params[moment];
    params[moment] = step;
  }
  params[at] -= rate * step;
}

// Where row n stands in stream s's list with left != 0; L where it does not.
fn find(rows: u32, left: u32, s: u32, L: u32, n: u32) -> u32 {
  for (var l = 0u; l < L; l++) {
    if (lists[rows + s * LISTS + l] == n && !(work[left + s * STREAM + l] == 0.0)) { return l; }
  }
  return L;
}

fn synapse_update(rows: u32, left: u32, index: u32, value: u32, coef: u32, rate: f32,
                  weight: u32, bias: u32, moment: u32, bias_moment: u32, L: u32, N: u32, P: u32,
                  scale: f32, bias_scale: f32, momentum: f32, part: u32, parts: u32) {
  if (STREAMS == 1u) {
    let A = lists[index];
    for (var l = part; l < L; l += parts) {
      let factor = work[coef] * work[left + l];
      if (!(factor == 0.0)) {
        let n = lists[rows + l];
        for (var a = lane; a < A; a += WG) {
          let entry = n * P + lists[index + 1u + a];
          descend(weight + entry, moment + entry, factor * work[value + a], rate * scale, momentum);
        }
        if (lane == 0u) { descend(bias + n, bias_moment + n, factor, rate * bias_scale, momentum); }
      }
    }
    return;
  }
  // With momentum a moment leaks once, however many streams touch it: `seen` has a bit for every place of a row.
  for (var n = part; n < N; n += parts) {
    var total = 0.0;
    var touched = false;
    for (var tile = 0u; tile < P; tile += SEEN) {
      for (var w = lane; w < SEEN / 32u; w += WG) { atomicStore(&seen[w], 0u); }
      for (var first = 0u; first < STREAMS; first += WG) {
        found[lane] = L;  // where this row stands in the list of stream first + lane
        if (first + lane < STREAMS) { found[lane] = find(rows, left, first + lane, L, n); }
        workgroupBarrier();
        for (var other = 0u; other < min(WG, STREAMS - first); other++) {
          let l = found[other];
          if (l < L) {
            let s = first + other;
            let factor = work[coef + s * STREAM] * work[left + s * STREAM + l];
            let A = lists[index + s * LISTS];
            for (var a = lane; a < A; a += WG) {
              let place = lists[index + s * LISTS + 1u + a];
              if (place - tile < SEEN) {  // in this tile; a place before it wraps round to a large number
                let entry = n * P + place;
                let gradient = factor * work[value + s * STREAM + a];
                let bit = 1u << (place % 32u);
                if (momentum != 0.0 && (atomicOr(&seen[(place - tile) / 32u], bit) & bit) != 0u) {
                  params[moment + entry] += gradient;
                  params[weight + entry] -= rate * scale * gradient;
                } else {
                  descend(weight + entry, moment + entry, gradient, rate * scale, momentum);
                }
              }
            }
            if (tile == 0u) { total += factor; }
            touched = true;
          }
          storageBarrier();
          workgroupBarrier();
        }
      }
    }
    if (touched && lane == 0u) { descend(bias + n, bias_moment + n, total, rate * bias_scale, momentum); }
  }
}
