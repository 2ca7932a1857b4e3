// lib: arenas, reduce, rule, lists
// The one step along a materialised gradient, one a stream: the parameter moves by the rule of ops/rule.py along
// sum_s coef[s] gradient[s], and gradient becomes 0.
//   matrix   weight (O, I), every entry                          part: rows
//   vector   bias (D), every entry                               part: entries
//   rows     weight (N, I), the rows that are touched            part: rows
//   entries  bias (N), the entries with a gradient               part: entries
//   synapse  weight (N, P), of the rows that are touched the entries with a gradient, and bias (N)   part: rows
// A row is touched where touched[s] = 1 in some stream; that becomes 0 too.
//   gradient_square  squares[slot] = scale |gradient|^2
//   rows_square      the same, looking at the rows that are touched alone
// Storage: gradient (rows not padded), touched, coef, squares in work; weight, moment, power of a matrix in weights
// (vec4, rows of ceil(I/4)); those of synapses, all of a bias, and count in params. Dispatch: squares: one workgroup a
// stream; steps: any number of parts, which add the streams up in order. Workgroup memory: 4 bytes a lane and 256
// bytes.
const BLOCK: u32 = 1024u;  // so many rows are looked at at once for what is touched

// Adds up coef gradient over the streams, and puts the gradient to 0.
fn take_sum(gradient: u32, coef: u32) -> f32 {
  var sum = 0.0;
  for (var s = 0u; s < STREAMS; s++) {
    let at = gradient + s * STREAM;
    if (!(work[at] == 0.0)) {
      sum += work[coef + s * STREAM] * work[at];
      work[at] = 0.0;
    }
  }
  return sum;
}

// The same of columns 4 q to 4 q + 3 of row n; what lies behind the last column is 0.
fn take_sum4(gradient: u32, coef: u32, n: u32, q: u32, I: u32) -> vec4<f32> {
  let at = gradient + n * I + 4u * q;
  let columns = I - 4u * q;
  var sum = vec4<f32>(take_sum(at, coef), 0.0, 0.0, 0.0);
  if (columns > 1u) { sum.y = take_sum(at + 1u, coef); }
  if (columns > 2u) { sum.z = take_sum(at + 2u, coef); }
  if (columns > 3u) { sum.w = take_sum(at + 3u, coef); }
  return sum;
}

fn matrix_step(coef: u32, rate: f32, k: f32, gradient: u32, weight: Parameter, rule: Rule, O: u32, I: u32,
               part: u32, parts: u32) {
  let p = step_size(rate * weight.scale, k, rule);
  let Q = (I + 3u) / 4u;
  let share = (O + parts - 1u) / parts;
  for (var at = part * share * Q + lane; at < min(O, (part + 1u) * share) * Q; at += WG) {
    descend4(weight, at, take_sum4(gradient, coef, at / Q, at % Q, I), p, rule);
  }
}

fn vector_step(coef: u32, rate: f32, k: f32, bias_gradient: u32, bias: Parameter, rule: Rule, D: u32,
               part: u32, parts: u32) {
  let p = step_size(rate * bias.scale, k, rule);
  let share = (D + parts - 1u) / parts;
  for (var i = part * share + lane; i < min(D, (part + 1u) * share); i += WG) {
    descend(bias, i, take_sum(bias_gradient + i, coef), p, rule);
  }
}

// Whether a stream that counts has touched a row, or an entry has a gradient.
fn moves(touched: u32, coef: u32) -> bool {
  for (var s = 0u; s < STREAMS; s++) {
    if (!(work[coef + s * STREAM] * work[touched + s * STREAM] == 0.0)) { return true; }
  }
  return false;
}

fn entries_step(coef: u32, rate: f32, bias_gradient: u32, bias: Parameter, bias_count: u32, rule: Rule, N: u32,
                part: u32, parts: u32) {
  let counted = is_counted(rule);
  let share = (N + parts - 1u) / parts;
  for (var n = part * share + lane; n < min(N, (part + 1u) * share); n += WG) {
    let moving = moves(bias_gradient + n, coef);
    let gradient = take_sum(bias_gradient + n, coef);
    if (moving) {
      var k = 0.0;
      if (counted) {
        k = params[bias_count + n];
        params[bias_count + n] = k + 1.0;
      }
      descend(bias, n, gradient, step_size(rate * bias.scale, k, rule), rule);
    }
  }
}

// Notes which of rows begin to end, BLOCK at most, one of so many streams has touched.
fn note_touched(touched: u32, streams: u32, begin: u32, end: u32) {
  for (var i = lane; i < BLOCK / 32u; i += WG) { atomicStore(&marks[i], 0u); }
  workgroupBarrier();
  for (var n = begin + lane; n < end; n += WG) {
    for (var s = 0u; s < streams; s++) {
      if (work[touched + s * STREAM + n] != 0.0) { atomicOr(&marks[(n - begin) / 32u], 1u << ((n - begin) % 32u)); }
    }
  }
  workgroupBarrier();
}

// Once all have read them: one update more of the rows that have moved, and no row is touched.
fn end_rows(touched: u32, coef: u32, count: u32, counted: bool, begin: u32, end: u32) {
  storageBarrier();
  workgroupBarrier();
  for (var n = begin + lane; n < end; n += WG) {
    if (extractBits(atomicLoad(&marks[(n - begin) / 32u]), (n - begin) % 32u, 1u) != 0u) {
      if (counted && moves(touched + n, coef)) { params[count + n] += 1.0; }
      for (var s = 0u; s < STREAMS; s++) { work[touched + s * STREAM + n] = 0.0; }
    }
  }
  workgroupBarrier();
}

fn rows_step(coef: u32, rate: f32, gradient: u32, touched: u32, weight: Parameter, count: u32, rule: Rule,
             N: u32, I: u32, most: u32, part: u32, parts: u32) {
  let counted = is_counted(rule);
  let Q = (I + 3u) / 4u;
  let wide = lanes_for(Q);  // lanes side by side along a row, the lanes left over take other rows
  let share = (N + parts - 1u) / parts;
  let last = min(N, (part + 1u) * share);
  for (var begin = part * share; begin < last; begin += BLOCK) {
    let end = min(last, begin + BLOCK);
    note_touched(touched, STREAMS, begin, end);
    var turn = lane / wide;
    for (var word = 0u; word < BLOCK / 32u; word++) {
      for (var bits = atomicLoad(&marks[word]); bits != 0u; bits &= bits - 1u) {
        let n = begin + 32u * word + firstTrailingBit(bits);
        if (turn % (WG / wide) == 0u) {
          let moving = moves(touched + n, coef);
          var k = 0.0;
          if (counted) { k = params[count + n]; }
          let p = step_size(rate * weight.scale, k, rule);
          for (var q = lane % wide; q < Q; q += wide) {
            let sum = take_sum4(gradient, coef, n, q, I);
            let at = n * Q + q;
            if (moving) { descend4(weight, at, sum, p, rule); }
          }
        }
        turn++;
      }
    }
    end_rows(touched, coef, count, counted, begin, end);
  }
}

// One step of four entries of a parameter in params, of those whose gradient is not 0.
fn descend_entries(theta: Parameter, entry: u32, gradient: vec4<f32>, p: StepSize, rule: Rule) {
  let still = gradient == vec4<f32>();
  var step = gradient;
  if (rule.beta1 != 0.0) {
    let old = params4(theta.moment + entry);
    step = select(rule.beta1 * old + gradient, old + rule.share1 * (gradient - old), rule.beta2 != 0.0);
    put_params4(theta.moment + entry, select(step, old, still));
  }
  if (rule.beta2 != 0.0) {
    let old = params4(theta.power + entry);
    let mean = old + rule.share2 * (gradient * gradient - old);
    put_params4(theta.power + entry, select(mean, old, still));
    step /= sqrt(mean) + p.epsilon;
  }
  let now = params4(theta.at + entry);
  put_params4(theta.at + entry, select(p.shrink * now - p.rate * step, now, still));
}

// With one lane and one stream: the entries of a row, four at a time.
fn step_row_alone(gradient: u32, coef: u32, weight: Parameter, begin: u32, end: u32, p: StepSize, rule: Rule) {
  var entry = begin;
  for (; entry + 4u <= end; entry += 4u) {
    let sum = work[coef] * work4(gradient + entry);
    put4(gradient + entry, vec4<f32>());
    if (!(sum.x == 0.0 && sum.y == 0.0 && sum.z == 0.0 && sum.w == 0.0)) { descend_entries(weight, entry, sum, p, rule); }
  }
  for (; entry < end; entry++) {
    let sum = work[coef] * work[gradient + entry];
    work[gradient + entry] = 0.0;
    if (!(sum == 0.0)) { descend(weight, entry, sum, p, rule); }
  }
}

fn synapse_step(coef: u32, rate: f32, gradient: u32, bias_gradient: u32, touched: u32,
                weight: Parameter, bias: Parameter, count: u32, rule: Rule, N: u32, P: u32, most: u32,
                part: u32, parts: u32) {
  let counted = is_counted(rule);
  let share = (N + parts - 1u) / parts;
  let last = min(N, (part + 1u) * share);
  for (var begin = part * share; begin < last; begin += BLOCK) {
    let end = min(last, begin + BLOCK);
    note_touched(touched, STREAMS, begin, end);
    for (var word = 0u; word < BLOCK / 32u; word++) {
      for (var bits = atomicLoad(&marks[word]); bits != 0u; bits &= bits - 1u) {
        let n = begin + 32u * word + firstTrailingBit(bits);
        let moving = moves(touched + n, coef);
        var k = 0.0;
        if (counted) { k = params[count + n]; }
        let p = step_size(rate * weight.scale, k, rule);
        if (WG == 1u && STREAMS == 1u) {
          step_row_alone(gradient, coef, weight, n * P, (n + 1u) * P, p, rule);
        } else {
          for (var entry = n * P + lane; entry < (n + 1u) * P; entry += WG) {
            let sum = take_sum(gradient + entry, coef);
            if (!(sum == 0.0)) { descend(weight, entry, sum, p, rule); }
          }
        }
        if (lane == 0u) {
          let slow = step_size(rate * bias.scale, k, rule);
          let sum = take_sum(bias_gradient + n, coef);
          if (moving) { descend(bias, n, sum, slow, rule); }
        }
      }
    }
    end_rows(touched, coef, count, counted, begin, end);
  }
}

fn gradient_square(gradient: u32, squares: u32, slot: u32, scale: f32, D: u32) {
  var sum = 0.0;
  for (var i = lane; i < D; i += WG) { sum += work[gradient + i] * work[gradient + i]; }
  sum = span_sum(sum, WG);
  if (lane == 0u) { work[squares + slot] = scale * sum; }
}

fn rows_square(gradient: u32, touched: u32, squares: u32, slot: u32, scale: f32, N: u32, I: u32, most: u32) {
  var sum = 0.0;
  for (var begin = 0u; begin < N; begin += BLOCK) {
    note_touched(touched, 1u, begin, min(N, begin + BLOCK));
    for (var word = 0u; word < BLOCK / 32u; word++) {
      for (var bits = atomicLoad(&marks[word]); bits != 0u; bits &= bits - 1u) {
        let row = gradient + (begin + 32u * word + firstTrailingBit(bits)) * I;
        for (var i = lane; i < I; i += WG) { sum += work[row + i] * work[row + i]; }
      }
    }
    workgroupBarrier();  // every lane has read the marks before they change
  }
  sum = span_sum(sum, WG);
  if (lane == 0u) { work[squares + slot] = scale * sum; }
}
