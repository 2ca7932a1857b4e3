// lib: arenas, reduce, rule, lists, eight
// Updates: theta -= rate scale gradient, the gradient being sum_s coef[s] left[s] x right[s], never materialised out.
//   outer    weight (O, I), every entry               part: rows
//   vector   bias (D), every entry                    part: entries
//   rows     weight (N, I), the rows in a list of L   part: with one stream some of the list, with several some of N, ROWS at a time
//   lazy     weight (O, I), the rows with left != 0   part: rows
//   entries  bias (N), the entries in a list of L     part: likewise
// Or by another rule of ops/rule.py, which remembers moment, power and, of rows that are only touched now and then, a count.
// Storage: left, right, coef in work; rows in lists; weight, moment, power in weights (vec4, rows of ceil(I/4)); bias,
// bias_moment, bias_power, count in params.
// Dispatch: any number of parts. With several streams a row's owner adds the streams up in order: no atomics on floats. With MANY
// a lane of `outer` makes the gradient of a tile, 4 rows x 4 columns, in registers.
// Workgroup memory: 16 bytes a lane and 4,352 bytes.

// Rows begin to last, 4 rows x 1 quad at a time.
fn update_tiles(left: u32, right: u32, coef: u32, weight: Parameter, p: StepSize, rule: Rule,
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
      descend4(weight, at, sum, p, rule);
      let at1 = at + Q;
      if (o + 1u < last) { descend4(weight, at1, sum1, p, rule); }
      let at2 = at1 + Q;
      if (o + 2u < last) { descend4(weight, at2, sum2, p, rule); }
      let at3 = at2 + Q;
      if (o + 3u < last) { descend4(weight, at3, sum3, p, rule); }
    }
  }
}

// With one lane: a plain step of a row, two quads at a time.
fn add_row(row: u32, factor: f32, right: u32, Q: u32) {
  var q = 0u;
  for (; q + 2u <= Q; q += 2u) {
    put_weights8(row, 4u * q, add_scaled8(weights8(row, 4u * q), factor, work8(right + 4u * q)));
  }
  if (q < Q) { weights[row + q] += factor * work4(right + 4u * q); }
}

// With one lane: row after row, as they lie in memory; rows without a gradient only where the rule moves them all the same.
fn outer_alone(left: u32, right: u32, coef: u32, weight: Parameter, p: StepSize, rule: Rule, Q: u32, begin: u32, last: u32) {
  for (var o = begin; o < last; o++) {
    if (is_sum(rule) && !is_touched(left, coef, o)) { continue; }
    if (is_sum(rule) && STREAMS == 1u) {
      add_row(weight.at + o * Q, -p.rate * work[coef] * work[left + o], right, Q);
      continue;
    }
    for (var q = 0u; q < Q; q++) {
      var gradient = vec4<f32>();
      for (var s = 0u; s < STREAMS; s++) {
        let base = s * STREAM;
        gradient += work[coef + base] * work[left + base + o] * work4(right + base + 4u * q);
      }
      descend4(weight, o * Q + q, gradient, p, rule);
    }
  }
}

fn outer_update(left: u32, right: u32, coef: u32, rate: f32, k: f32, weight: Parameter,
                rule: Rule, O: u32, I: u32, part: u32, parts: u32) {
  let p = step_size(rate * weight.scale, k, rule);
  let Q = (I + 3u) / 4u;
  let share = (O + parts - 1u) / parts;
  let last = min(O, (part + 1u) * share);
  if (WG == 1u && STREAMS < MANY) {
    outer_alone(left, right, coef, weight, p, rule, Q, min(part * share, last), last);
    return;
  }
  if (STREAMS >= MANY) {
    update_tiles(left, right, coef, weight, p, rule, O, Q, min(part * share, last), last);
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
      descend4(weight, at, gradient, p, rule);
    }
  }
}

fn is_touched(left: u32, coef: u32, o: u32) -> bool {
  for (var s = 0u; s < STREAMS; s++) {
    if (!(work[coef + s * STREAM] * work[left + s * STREAM + o] == 0.0)) { return true; }
  }
  return false;
}

fn lazy_update(left: u32, right: u32, coef: u32, rate: f32, weight: Parameter, count: u32,
               rule: Rule, O: u32, I: u32, part: u32, parts: u32) {
  let Q = (I + 3u) / 4u;
  let share = (O + parts - 1u) / parts;
  let last = min(O, (part + 1u) * share);
  let wide = lanes_for(Q);  // lanes side by side along a row, the lanes left over take other rows
  let counted = is_counted(rule);
  var k = 0.0;
  for (var o = part * share + lane / wide; o < last; o += WG / wide) {
    if (is_touched(left, coef, o)) {
      if (counted) { k = params[count + o]; }
      let p = step_size(rate * weight.scale, k, rule);
      for (var q = lane % wide; q < Q; q += wide) {
        var gradient = vec4<f32>();
        for (var s = 0u; s < STREAMS; s++) {
          let base = s * STREAM;
          let factor = work[coef + base] * work[left + base + o];
          if (!(factor == 0.0)) { gradient += factor * work4(right + base + 4u * q); }
        }
        let at = o * Q + q;
        descend4(weight, at, gradient, p, rule);
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

fn vector_update(left: u32, coef: u32, rate: f32, k: f32, bias: Parameter, rule: Rule, D: u32, part: u32, parts: u32) {
  let p = step_size(rate * bias.scale, k, rule);
  let share = (D + parts - 1u) / parts;
  for (var i = part * share + lane; i < min(D, (part + 1u) * share); i += WG) {
    var gradient = 0.0;
    for (var s = 0u; s < STREAMS; s++) { gradient += work[coef + s * STREAM] * work[left + s * STREAM + i]; }
    descend(bias, i, gradient, p, rule);
  }
}

fn rows_update(rows: u32, left: u32, right: u32, coef: u32, rate: f32, weight: Parameter, count: u32,
               rule: Rule, L: u32, N: u32, I: u32, part: u32, parts: u32) {
  let Q = (I + 3u) / 4u;
  let counted = is_counted(rule);
  var k = 0.0;
  if (STREAMS == 1u) {
    for (var l = part; l < L; l += parts) {
      let step = work[coef] * work[left + l];
      if (!(step == 0.0)) {
        let n = lists[rows + l];
        if (counted) { k = params[count + n]; }
        let p = step_size(rate * weight.scale, k, rule);
        if (WG == 1u && is_sum(rule)) {
          add_row(weight.at + n * Q, -p.rate * step, right, Q);
          continue;
        }
        for (var q = lane; q < Q; q += WG) {
          let at = n * Q + q;
          descend4(weight, at, step * work4(right + 4u * q), p, rule);
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
            let p = step_size(rate * weight.scale, k, rule);
            let at = n * Q + q;
            descend4(weight, at, gradient, p, rule);
          }
        }
        workgroupBarrier();  // every lane has read the marks before they change
      }
    }
    if (counted) {
      storageBarrier();
      workgroupBarrier();  // and the counts
      for (var n = begin + lane; n < end; n += WG) {
        if (extractBits(touched, n - begin, 1u) != 0u) { params[count + n] += 1.0; }
      }
    }
  }
}

fn step_entry(n: u32, gradient: f32, rate: f32, bias: Parameter, count: u32, rule: Rule) {
  var k = 0.0;
  if (is_counted(rule)) {
    k = params[count + n];
    params[count + n] = k + 1.0;
  }
  descend(bias, n, gradient, step_size(rate * bias.scale, k, rule), rule);
}

fn entries_update(rows: u32, left: u32, coef: u32, rate: f32, bias: Parameter, count: u32,
                  rule: Rule, L: u32, N: u32, part: u32, parts: u32) {
  if (STREAMS == 1u) {
    let share = (L + parts - 1u) / parts;
    for (var l = part * share + lane; l < min(L, (part + 1u) * share); l += WG) {
      let gradient = work[coef] * work[left + l];
      if (!(gradient == 0.0)) {
        step_entry(lists[rows + l], gradient, rate, bias, count, rule);
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
          step_entry(n, gradient, rate, bias, count, rule);
        }
      }
      workgroupBarrier();  // every lane has read the marks before they change
    }
  }
}
