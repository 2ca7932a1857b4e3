// lib: arenas, reduce, noise, sample, owners
// Materialised gradients, one a stream: the uses of a parameter add up, each over its sites x < X.
//   outer    gradient[o, i] += sum_x left[x, o] right[x, i]
//   lazy     the same, and touched[o] = 1, where left != 0
//   vector   bias_gradient[i] += sum_x left[x, i]
//   rows     gradient[rows[x, l], i] += left[x, l] right[x, i], and touched[rows[x, l]] = 1, where left != 0
//   entries  bias_gradient[rows[x, l]] += left[x, l]
//   synapse  gradient[rows[x, l], index[x, a]] += left[x, l] value[x, a], bias_gradient and touched too
//   sample     the same in the synapses that see a source, weighted (see sampled.wgsl)
// Storage: left, right, value, touched and gradient (rows not padded) in work; rows in lists, index in lists as [A,
// sources...]; sample in params. Site x of left, right, rows, index, value lies x * round4(size) behind the first, the
// length of a list counted in. Dispatch: any number of parts, which go from stream to stream themselves. What uses or
// sites share, one lane adds up in order, or a barrier stands between: no atomics on floats. Workgroup memory: 4 bytes a lane.
fn outer_gradient(left: u32, right: u32, gradient: u32, X: u32, O: u32, I: u32, part: u32, parts: u32) {
  let share = (O + parts - 1u) / parts;
  let begin = min(O, part * share);
  let mine = (min(O, begin + share) - begin) * I;  // entries of a stream
  for (var n = lane; n < STREAMS * mine; n += WG) {
    let base = n / mine * STREAM;
    let o = begin + n % mine / I;
    let i = n % I;
    var sum = 0.0;
    for (var x = 0u; x < X; x++) {
      sum += work[left + base + x * room_of(O) + o] * work[right + base + x * room_of(I) + i];
    }
    work[gradient + base + o * I + i] += sum;
  }
}

fn lazy_gradient(left: u32, right: u32, gradient: u32, touched: u32, X: u32, O: u32, I: u32, part: u32, parts: u32) {
  let share = (O + parts - 1u) / parts;
  let begin = min(O, part * share);
  let mine = (min(O, begin + share) - begin) * I;  // entries of a stream
  for (var n = lane; n < STREAMS * mine; n += WG) {
    let base = n / mine * STREAM;
    let o = begin + n % mine / I;
    let i = n % I;
    var sum = 0.0;
    var there = false;
    for (var x = 0u; x < X; x++) {
      let factor = work[left + base + x * room_of(O) + o];
      if (!(factor == 0.0)) {
        sum += factor * work[right + base + x * room_of(I) + i];
        there = true;
      }
    }
    if (there) {
      work[gradient + base + o * I + i] += sum;
      if (i == 0u) { work[touched + base + o] = 1.0; }
    }
  }
}

// Lanes that would be left over share the sites: a bias of a map has few entries, and many sites to sum over.
fn vector_gradient(left: u32, bias_gradient: u32, X: u32, D: u32, part: u32, parts: u32) {
  let share = (D + parts - 1u) / parts;
  let begin = min(D, part * share);
  let mine = min(D, begin + share) - begin;
  let wide = min(lanes_for(X), WG / lanes_for(STREAMS * mine));  // lanes side by side on an entry
  for (var first = 0u; first < STREAMS * mine; first += WG / wide) {
    let n = first + lane / wide;
    let there = n < STREAMS * mine;
    let at = select(0u, n / max(mine, 1u) * STREAM + begin + n % max(mine, 1u), there);
    var sum = 0.0;
    for (var x = lane % wide; x < select(0u, X, there); x += wide) { sum += work[left + at + x * room_of(D)]; }
    sum = span_sum(sum, wide);
    if (there && lane % wide == 0u) { work[bias_gradient + at] += sum; }
  }
}

fn rows_gradient(rows: u32, left: u32, right: u32, gradient: u32, touched: u32, X: u32, L: u32, N: u32, I: u32,
                 part: u32, parts: u32) {
  let wide = lanes_for(I);  // lanes side by side along a row
  let owners = parts * (WG / wide);
  let classes = classes_of(owners);
  for (var owner = part * (WG / wide) + lane / wide; owner < STREAMS * classes; owner += owners) {
    let s = owner / classes;
    let base = s * STREAM;
    for (var x = 0u; x < X; x++) {
      let at = x * room_of(L);
      for (var l = at; l < at + L; l++) {
        let n = lists[rows + s * LISTS + l];
        if (n % classes == owner % classes) {
          let factor = work[left + base + l];
          if (!(factor == 0.0)) {
            if (lane % wide == 0u) { work[touched + base + n] = 1.0; }
            for (var i = lane % wide; i < I; i += wide) {
              work[gradient + base + n * I + i] += factor * work[right + base + x * room_of(I) + i];
            }
          }
        }
      }
    }
  }
}

fn entries_gradient(rows: u32, left: u32, bias_gradient: u32, X: u32, L: u32, N: u32, part: u32, parts: u32) {
  let owners = parts * WG;
  let classes = classes_of(owners);
  for (var owner = part * WG + lane; owner < STREAMS * classes; owner += owners) {
    let s = owner / classes;
    for (var x = 0u; x < X; x++) {
      let at = x * room_of(L);
      for (var l = at; l < at + L; l++) {
        let n = lists[rows + s * LISTS + l];
        if (n % classes == owner % classes) { work[bias_gradient + s * STREAM + n] += work[left + s * STREAM + l]; }
      }
    }
  }
}

// With one lane: four rows of a site at a time, the context is read once for them.
fn synapse_gradient_alone(rows: u32, left: u32, index: u32, value: u32, gradient: u32, bias_gradient: u32, touched: u32,
                          X: u32, L: u32, P: u32, room: u32) {
  for (var item = 0u; item < STREAMS * X; item++) {
    let base = item / X * STREAM;
    let list_base = item / X * LISTS;
    let x = item % X;
    let context = index + list_base + x * room_of(room + 1u);
    let values = value + base + x * room_of(room);
    let A = lists[context];
    let end = x * room_of(L) + L;
    var l = x * room_of(L);
    while (l < end) {
      var to = vec4<u32>();
      var factors = vec4<f32>();
      var count = 0u;
      for (; l < end && count < 4u; l++) {
        let factor = work[left + base + l];
        if (factor == 0.0) { continue; }
        let n = lists[rows + list_base + l];
        work[touched + base + n] = 1.0;
        work[bias_gradient + base + n] += factor;
        to[count] = gradient + base + n * P;
        factors[count] = factor;
        count++;
      }
      if (count == 4u) {
        for (var a = 0u; a < A; a++) {
          let source = lists[context + 1u + a];
          let v = work[values + a];
          work[to.x + source] += factors.x * v;
          work[to.y + source] += factors.y * v;
          work[to.z + source] += factors.z * v;
          work[to.w + source] += factors.w * v;
        }
      } else {
        for (var k = 0u; k < count; k++) {
          for (var a = 0u; a < A; a++) { work[to[k] + lists[context + 1u + a]] += factors[k] * work[values + a]; }
        }
      }
    }
  }
}

fn synapse_gradient(rows: u32, left: u32, index: u32, value: u32, gradient: u32, bias_gradient: u32, touched: u32,
                    X: u32, L: u32, N: u32, P: u32, room: u32, part: u32, parts: u32) {
  if (WG == 1u && parts == 1u) {
    synapse_gradient_alone(rows, left, index, value, gradient, bias_gradient, touched, X, L, P, room);
    return;
  }
  let classes = classes_of(parts);
  for (var owner = part; owner < STREAMS * classes; owner += parts) {
    let s = owner / classes;
    let base = s * STREAM;
    for (var first = 0u; first < X * L; first += 32u * WG) {
      mark_hits(rows + s * LISTS, left + base, X * L, L, first, classes, owner % classes);
      for (var w = 0u; w < hit_words(X * L, first); w++) {
        for (var bits = workgroupUniformLoad(&class_hits[w]); bits != 0u; bits &= bits - 1u) {
          let hit = first + 32u * w + firstTrailingBit(bits);
          let x = hit / L;
          let at = x * room_of(L) + hit % L;
          let n = lists[rows + s * LISTS + at];
          let factor = work[left + base + at];
          let context = index + s * LISTS + x * room_of(room + 1u);
          let values = value + base + x * room_of(room);
          if (lane == 0u) {
            work[touched + base + n] = 1.0;
            work[bias_gradient + base + n] += factor;
          }
          for (var a = lane; a < lists[context]; a += WG) {
            work[gradient + base + n * P + lists[context + 1u + a]] += factor * work[values + a];
          }
          storageBarrier();
          workgroupBarrier();  // of the next hit another lane may have the same synapse
        }
      }
    }
  }
}

fn sampled_gradient(rows: u32, left: u32, index: u32, value: u32, sample: Sample, gradient: u32, bias_gradient: u32,
                 touched: u32, X: u32, L: u32, N: u32, room: u32, part: u32, parts: u32) {
  let classes = classes_of(parts);
  let noise = sample_noise(sample);
  for (var owner = part; owner < STREAMS * classes; owner += parts) {
    let s = owner / classes;
    let base = s * STREAM;
    for (var first = 0u; first < X * L; first += 32u * WG) {
      mark_hits(rows + s * LISTS, left + base, X * L, L, first, classes, owner % classes);
      for (var w = 0u; w < hit_words(X * L, first); w++) {
        for (var bits = workgroupUniformLoad(&class_hits[w]); bits != 0u; bits &= bits - 1u) {
          let hit = first + 32u * w + firstTrailingBit(bits);
          let x = hit / L;
          let at = x * room_of(L) + hit % L;
          let n = lists[rows + s * LISTS + at];
          let factor = work[left + base + at];
          let context = index + s * LISTS + x * room_of(room + 1u);
          let values = value + base + x * room_of(room);
          if (lane == 0u) {
            work[touched + base + n] = 1.0;
            work[bias_gradient + base + n] += factor;
          }
          let row_noise = mix32(noise ^ n);
          let visibility = factor * weight_of_visible(sample);
          for (var a = lane; a < lists[context]; a += WG) {
            let f = synapse_at(row_noise, lists[context + 1u + a], sample);
            if (f < sample.F) { work[gradient + base + n * sample.F + f] += visibility * work[values + a]; }
          }
          storageBarrier();
          workgroupBarrier();  // of the next hit another lane may have the same synapse
        }
      }
    }
  }
}
