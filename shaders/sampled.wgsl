// lib: arenas, reduce, rule, noise, sample
// Distal synapses of large memories. Rows of F synapses; the P sources lie in F stretches (stretch f: f P / F .. (f + 1) P / F - 1)
// and a row sees one source of each, source begin + mix32(mix32(mix32(sample) ^ row) ^ f) % length, with its synapse f; it counts
// G = sqrt(P / F) times. Read and changed only where row is in a list of L and source is in the context (index, value) of A entries.
//   forward   depolarisation[l] = bias[rows[l]] + G sum_a weight[rows[l], f] value[a], over the a that rows[l] sees
//   backward  dvalue[a] = G sum_l ddepolarisation[l] weight[rows[l], f], over the l that see index[a]
//   update    weight[rows[l], f] -= rate scale coef left[l] G value[a]; bias[rows[l]] -= rate bias_scale coef left[l]
//             (or by another rule of ops/rule.py, in the entries whose gradient is not 0)
//   square    squares[slot] = scale sum_l left[l]^2 (1 + G^2 sum_a value[a]^2), over the a that rows[l] sees
// Storage: rows (L) in lists; index in lists as [A, sources...]; value, dvalue (A), (d)depolarisation, left (L), coef (1), squares in
// work; sample (1), weight, bias and what the rule remembers of them, total in params. With one stream an update's part owns some
// of the L rows; with several it owns rows of the whole matrix and looks who has them, stream after stream: no atomics, and
// always the same order. Two entries of a context never meet in one synapse: each lane has some to itself.
// Dispatch: one workgroup a stream; update: any number of parts. Workgroup memory: 8 bytes a lane.

var<workgroup> standing: array<u32, WG>;

// With one lane: a source's stretch is found once for four rows.
fn sampled_rows_alone(rows: u32, index: u32, value: u32, weight: u32, bias: u32, sample: Sample, depolarisation: u32, L: u32) {
  let A = lists[index];
  let base = sample_noise(sample);
  for (var l = 0u; l < L; l += 4u) {
    let row = lists[rows + l];  // rows behind the last are read again, and not written
    let row1 = lists[rows + min(l + 1u, L - 1u)];
    let row2 = lists[rows + min(l + 2u, L - 1u)];
    let row3 = lists[rows + min(l + 3u, L - 1u)];
    let noise = mix32(base ^ row);
    let noise1 = mix32(base ^ row1);
    let noise2 = mix32(base ^ row2);
    let noise3 = mix32(base ^ row3);
    var sum = vec4<f32>();
    for (var a = 0u; a < A; a++) {
      let at = stretch_of(lists[index + 1u + a], sample);
      let v = work[value + a];
      let synapse = weight + at.f;
      if (mix32(noise ^ at.f) % at.length == at.place) { sum.x += params[synapse + row * sample.F] * v; }
      if (mix32(noise1 ^ at.f) % at.length == at.place) { sum.y += params[synapse + row1 * sample.F] * v; }
      if (mix32(noise2 ^ at.f) % at.length == at.place) { sum.z += params[synapse + row2 * sample.F] * v; }
      if (mix32(noise3 ^ at.f) % at.length == at.place) { sum.w += params[synapse + row3 * sample.F] * v; }
    }
    for (var k = 0u; k < 4u && l + k < L; k++) {
      work[depolarisation + l + k] = weight_of_visible(sample) * sum[k] + params[bias + lists[rows + l + k]];
    }
  }
}

fn sampled_forward(rows: u32, index: u32, value: u32, weight: u32, bias: u32, sample: Sample, depolarisation: u32, L: u32) {
  if (WG == 1u) {
    sampled_rows_alone(rows, index, value, weight, bias, sample, depolarisation, L);
    return;
  }
  let A = lists[index];
  let base = sample_noise(sample);
  let at_once = lanes_for(L);  // rows side by side, the lanes left over share the context
  let span = WG / at_once;
  for (var first = 0u; first < L; first += at_once) {
    let l = first + lane / span;
    var sum = 0.0;
    if (l < L) {
      let row = lists[rows + l];
      let noise = mix32(base ^ row);
      for (var a = lane % span; a < A; a += span) {
        let f = synapse_at(noise, lists[index + 1u + a], sample);
        if (f < sample.F) { sum += params[weight + row * sample.F + f] * work[value + a]; }
      }
    }
    sum = span_sum(sum, span);
    if (l < L && lane % span == 0u) { work[depolarisation + l] = weight_of_visible(sample) * sum + params[bias + lists[rows + l]]; }
  }
}

fn sampled_backward(ddepolarisation: u32, rows: u32, index: u32, weight: u32, sample: Sample, dvalue: u32, L: u32) {
  let A = lists[index];
  let base = sample_noise(sample);
  for (var a = lane; a < A; a += WG) {
    let source = lists[index + 1u + a];
    var sum = 0.0;
    for (var l = 0u; l < L; l++) {
      let d = work[ddepolarisation + l];
      if (!(d == 0.0)) {
        let row = lists[rows + l];
        let f = synapse_at(mix32(base ^ row), source, sample);
        if (f < sample.F) { sum += d * params[weight + row * sample.F + f]; }
      }
    }
    work[dvalue + a] = weight_of_visible(sample) * sum;
  }
}

fn sampled_square(left: u32, rows: u32, index: u32, value: u32, sample: Sample, squares: u32, slot: u32, scale: f32, L: u32) {
  let A = lists[index];
  let base = sample_noise(sample);
  let at_once = lanes_for(L);
  let span = WG / at_once;
  var sum = 0.0;
  for (var first = 0u; first < L; first += at_once) {
    let l = first + lane / span;
    if (l < L) {
      let noise = mix32(base ^ lists[rows + l]);
      var seen = 0.0;
      for (var a = lane % span; a < A; a += span) {
        if (synapse_at(noise, lists[index + 1u + a], sample) < sample.F) { seen += work[value + a] * work[value + a]; }
      }
      let own = select(0.0, 1.0, lane % span == 0u);  // the bias
      sum += work[left + l] * work[left + l] * (own + f32(sample.P) / f32(sample.F) * seen);
    }
  }
  sum = span_sum(sum, WG);
  if (lane == 0u) { work[squares + slot] = scale * sum; }
}

// Where row n stands in stream s's list with left != 0; L where it does not.
fn find(rows: u32, left: u32, s: u32, L: u32, n: u32) -> u32 {
  for (var l = 0u; l < L; l++) {
    if (lists[rows + s * LISTS + l] == n && !(work[left + s * STREAM + l] == 0.0)) { return l; }
  }
  return L;
}

// A stream's gradient of row n, into `total`.
fn gather_sampled(n: u32, noise: u32, index: u32, value: u32, factor: f32, total: u32, sample: Sample) {
  let A = lists[index];
  let visibility = factor * weight_of_visible(sample);
  for (var a = lane; a < A; a += WG) {
    let f = synapse_at(noise, lists[index + 1u + a], sample);
    if (f < sample.F) { params[total + n * sample.F + f] += visibility * work[value + a]; }
  }
}

// Steps along what `total` holds at a stream's sources of row n, and clears it: a source of several streams steps once.
fn step_sampled(n: u32, noise: u32, index: u32, weight: Parameter, total: u32, sample: Sample, p: StepSize, rule: Rule) {
  let A = lists[index];
  for (var a = lane; a < A; a += WG) {
    let f = synapse_at(noise, lists[index + 1u + a], sample);
    if (f < sample.F) {
      let entry = n * sample.F + f;
      let gradient = params[total + entry];
      if (!(gradient == 0.0)) {
        descend(weight, entry, gradient, p, rule);
        params[total + entry] = 0.0;
      }
    }
  }
}

// With one stream, or where a step is a sum over streams (plain): along a stream's gradient of row n at once.
fn descend_sampled(n: u32, noise: u32, index: u32, value: u32, factor: f32, weight: Parameter, sample: Sample, p: StepSize,
                rule: Rule) {
  let A = lists[index];
  let visibility = factor * weight_of_visible(sample);
  for (var a = lane; a < A; a += WG) {
    let f = synapse_at(noise, lists[index + 1u + a], sample);
    let gradient = visibility * work[value + a];
    if (f < sample.F && !(gradient == 0.0)) {
      let entry = n * sample.F + f;
      descend(weight, entry, gradient, p, rule);
    }
  }
}

fn sampled_update(rows: u32, left: u32, index: u32, value: u32, coef: u32, rate: f32, sample: Sample,
               weight: Parameter, bias: Parameter, count: u32, total: u32, rule: Rule, L: u32, N: u32, part: u32, parts: u32) {
  let counted = is_counted(rule);
  let base = sample_noise(sample);
  var k = 0.0;
  if (STREAMS == 1u) {
    for (var l = part; l < L; l += parts) {
      let factor = work[coef] * work[left + l];
      if (!(factor == 0.0)) {
        let n = lists[rows + l];
        if (counted) { k = params[count + n]; }
        let p = step_size(rate * weight.scale, k, rule);
        descend_sampled(n, mix32(base ^ n), index, value, factor, weight, sample, p, rule);
        if (lane == 0u) {
          let slow = step_size(rate * bias.scale, k, rule);
          descend(bias, n, factor, slow, rule);
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
  let plain = is_sum(rule);
  for (var n = part; n < N; n += parts) {
    if (counted) { k = params[count + n]; }
    let p = step_size(rate * weight.scale, k, rule);
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
              step_sampled(n, noise, theirs, weight, total, sample, p, rule);
            } else {
              if (plain) {
                descend_sampled(n, noise, theirs, value + s * STREAM, factor, weight, sample, p, rule);
              } else {
                gather_sampled(n, noise, theirs, value + s * STREAM, factor, total, sample);
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
      let slow = step_size(rate * bias.scale, k, rule);
      descend(bias, n, sum, slow, rule);
      if (counted) { params[count + n] = k + 1.0; }
    }
  }
}
