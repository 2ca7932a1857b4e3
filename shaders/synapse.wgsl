// lib: arenas, reduce, rule, lists
// Distal synapses: rows of a matrix with P presynaptic sources, read and changed only where row is in a list of L and
// source is in the context (index, value) of A entries.
//   forward   depolarisation[l] = bias[rows[l]] + sum_a weight[rows[l], index[a]] value[a]
//   backward  dvalue[a] = sum_l ddepolarisation[l] weight[rows[l], index[a]]
//   update    weight[rows[l], index[a]] -= rate scale coef left[l] value[a]; bias[rows[l]] -= rate bias_scale coef left[l]
//             (or by another rule of ops/rule.py, in the entries whose gradient is not 0)
// Storage: rows (L) in lists; index in lists as [A, sources...]; value, dvalue (A), (d)depolarisation, left (L), coef (1) in
// work; weight, bias and what the rule remembers of them, total in params. With one stream an update's part owns some of the
// L rows; with several it owns rows of the whole matrix and looks who has them, stream after stream: no atomics on floats, and
// always the same order.
// Dispatch: one workgroup a stream; update: any number of parts. Workgroup memory: 4 bytes a lane and 4,356 bytes.
var<workgroup> hits: u32;

// With one lane: four rows at a time, the context is read once for them.
fn forward_rows_alone(rows: u32, index: u32, value: u32, weight: u32, bias: u32, depolarisation: u32, L: u32, P: u32) {
  let A = lists[index];
  for (var l = 0u; l < L; l += 4u) {
    let row = lists[rows + l];  // rows behind the last are read again, and not written
    let row1 = lists[rows + min(l + 1u, L - 1u)];
    let row2 = lists[rows + min(l + 2u, L - 1u)];
    let row3 = lists[rows + min(l + 3u, L - 1u)];
    var sum = params[bias + row];
    var sum1 = params[bias + row1];
    var sum2 = params[bias + row2];
    var sum3 = params[bias + row3];
    for (var a = 0u; a < A; a++) {
      let source = weight + lists[index + 1u + a];
      let v = work[value + a];
      sum += params[source + row * P] * v;
      sum1 += params[source + row1 * P] * v;
      sum2 += params[source + row2 * P] * v;
      sum3 += params[source + row3 * P] * v;
    }
    let sums = vec4<f32>(sum, sum1, sum2, sum3);
    for (var k = 0u; k < 4u && l + k < L; k++) { work[depolarisation + l + k] = sums[k]; }
  }
}

fn synapse_forward(rows: u32, index: u32, value: u32, weight: u32, bias: u32, depolarisation: u32, L: u32, P: u32) {
  if (WG == 1u) {
    forward_rows_alone(rows, index, value, weight, bias, depolarisation, L, P);
    return;
  }
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
    let source = weight + lists[index + 1u + a];
    var sum = 0.0;
    for (var l = 0u; l < L; l++) {
      let d = work[ddepolarisation + l];
      if (!(d == 0.0)) { sum += d * params[source + lists[rows + l] * P]; }
    }
    work[dvalue + a] = sum;
  }
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

// Steps along what `total` holds at a stream's sources of row n, and clears it: a source of several streams steps once.
fn step_stream(n: u32, index: u32, weight: Parameter, total: u32, P: u32, p: StepSize, rule: Rule) {
  let A = lists[index];
  for (var a = lane; a < A; a += WG) {
    let entry = n * P + lists[index + 1u + a];
    let gradient = params[total + entry];
    if (!(gradient == 0.0)) {
      descend(weight, entry, gradient, p, rule);
      params[total + entry] = 0.0;
    }
  }
}

fn step_synapse(entry: u32, gradient: f32, weight: Parameter, p: StepSize, rule: Rule) {
  if (!(gradient == 0.0)) { descend(weight, entry, gradient, p, rule); }
}

fn synapse_update(rows: u32, left: u32, index: u32, value: u32, coef: u32, rate: f32,
                  weight: Parameter, bias: Parameter, count: u32, total: u32, rule: Rule, L: u32, N: u32, P: u32,
                  part: u32, parts: u32) {
  let counted = is_counted(rule);
  var k = 0.0;
  if (STREAMS == 1u) {
    let A = lists[index];
    for (var l = part; l < L; l += parts) {
      let factor = work[coef] * work[left + l];
      if (!(factor == 0.0)) {
        let n = lists[rows + l];
        if (counted) { k = params[count + n]; }
        let p = step_size(rate * weight.scale, k, rule);
        for (var a = lane; a < A; a += 2u * WG) {  // two at a time: loops are dear
          step_synapse(n * P + lists[index + 1u + a], factor * work[value + a], weight, p, rule);
          if (a + WG < A) {
            step_synapse(n * P + lists[index + 1u + a + WG], factor * work[value + a + WG], weight, p, rule);
          }
        }
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
          let p = step_size(rate * weight.scale, k, rule);
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
              add_stream(n, index + s * LISTS, value + s * STREAM, factor, weight.at, total, P, p.rate, plain);
              sum += factor;
              touched |= 1u << r;
            } else {
              step_stream(n, index + s * LISTS, weight, total, P, p, rule);
            }
            storageBarrier();
            workgroupBarrier();
          }
          if (lane == 0u && turn == 0u && first + AT_ONCE >= STREAMS && extractBits(touched, r, 1u) != 0u) {
            let slow = step_size(rate * bias.scale, k, rule);
            descend(bias, n, sum, slow, rule);
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
