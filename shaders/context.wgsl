// lib: arenas, reduce
// The distal context: a fast trace of cells (N) and a slow one of columns (C), each dense and as a list of its entries.
//   forward  (index, value) = the entries of both, each trace to unit norm; columns stand at sources N..N+C-1; norm: of fast
//   fast_update  fast *= decay, entries below SMALLEST dropped, then fast[cells] += cell where cell > write
//                (_at: in streams whose tick is 1)
//   neighbours   (index, value) of position p of a map: the fast entries of the around x around positions about it, dilation
//                apart, those outside left out; index o N + cell with o the neighbour's number, value to unit norm over all
//   slow_update  by the surprise p, none below `sure`: slow *= 1 - FORGET p, likewise, then slow[winners] += activity p where > SMALLEST
//   append / append_backward  one more vector at sources base.., to unit norm, and its gradient
// Lists stay in order: what is kept keeps its order, what is new comes behind, as far as there is room for `most`, so a
// run repeats itself to the bit.
// Storage: traces, value, cell, activity, surprise, x, norm in work; lists as [A, sources...], index likewise, cells,
// winners, sources, start in lists. Dispatch: one workgroup a stream. Workgroup memory: 4 bytes a lane + 36.
const SMALLEST: f32 = 0.1;
const FORGET: f32 = 0.63212055882855767;  // 1 - exp(-1)
var<workgroup> flags: array<atomic<u32>, 8>;
var<workgroup> count: u32;

// How many lanes below this one have their flag set, and how many in all. One bit a lane: no sum of floats, no order.
fn rank_of(flag: bool) -> vec2<u32> {
  if (lane < 8u) { atomicStore(&flags[lane], 0u); }
  workgroupBarrier();
  if (flag) { atomicOr(&flags[lane / 32u], 1u << (lane % 32u)); }
  storageBarrier();
  workgroupBarrier();
  var below = 0u;
  var total = 0u;
  for (var w = 0u; w < (WG + 31u) / 32u; w++) {
    let bits = atomicLoad(&flags[w]);
    total += countOneBits(bits);
    if (w < lane / 32u) { below += countOneBits(bits); }
    if (w == lane / 32u) { below += countOneBits(bits & ((1u << (lane % 32u)) - 1u)); }
  }
  workgroupBarrier();
  return vec2<u32>(below, total);
}

// The length of a list, the same for every lane in the compiler's eyes too: loops with barriers depend on it.
fn length(list: u32) -> u32 {
  if (lane == 0u) { count = lists[list]; }
  return workgroupUniformLoad(&count);
}

// Writes a trace's entries behind the `begin` entries of (index, value), to unit norm, sources shifted by `shift`; returns
// what it was divided by.
fn read_trace(dense: u32, list: u32, begin: u32, shift: u32, index: u32, value: u32) -> f32 {
  let A = lists[list];
  var sum = 0.0;
  for (var a = lane; a < A; a += WG) {
    let v = work[dense + lists[list + 1u + a]];
    sum += v * v;
  }
  let norm = sqrt(span_sum(sum, WG) + EPSILON);
  for (var a = lane; a < A; a += WG) {
    let source = lists[list + 1u + a];
    lists[index + 1u + begin + a] = source + shift;
    work[value + begin + a] = work[dense + source] / norm;
  }
  return norm;
}

fn context_forward(fast: u32, fast_list: u32, slow: u32, slow_list: u32, index: u32, value: u32, norm: u32, N: u32) {
  let fast_norm = read_trace(fast, fast_list, 0u, 0u, index, value);
  let slow_norm = read_trace(slow, slow_list, lists[fast_list], N, index, value);
  if (lane == 0u) {
    lists[index] = lists[fast_list] + lists[slow_list];
    work[norm] = fast_norm;
  }
}

// Where neighbour o of position p is, or X outside the map.
fn neighbour(p: u32, o: u32, X: u32, W: u32, around: u32, dilation: u32) -> u32 {
  let r = i32(p / W) + (i32(o / around) - i32(around / 2u)) * i32(dilation);
  let c = i32(p % W) + (i32(o % around) - i32(around / 2u)) * i32(dilation);
  let inside = r >= 0 && r < i32(X / W) && c >= 0 && c < i32(W);
  return select(X, u32(r * i32(W) + c), inside);
}

fn neighbours_forward(fast: u32, fast_list: u32, index: u32, value: u32, N: u32, X: u32, W: u32, around: u32, dilation: u32,
                      most: u32, room: u32, part: u32, parts: u32) {
  for (var r = part; r < STREAMS * X; r += parts) {
    let base = r / X * STREAM;
    let list_base = r / X * LISTS;
    let p = r % X;
    let to = index + list_base + p * room_of(room + 1u);
    let values = value + base + p * room_of(room);
    var sum = 0.0;
    var begin = 0u;
    for (var o = 0u; o < around * around; o++) {
      let q = neighbour(p, o, X, W, around, dilation);
      if (q == X) { continue; }
      let list = fast_list + list_base + q * room_of(most + 1u);
      let A = lists[list];
      for (var a = lane; a < A; a += WG) {
        let cell = lists[list + 1u + a];
        let u = work[fast + base + q * room_of(N) + cell];
        lists[to + 1u + begin + a] = o * N + cell;
        work[values + begin + a] = u;
        sum += u * u;
      }
      begin += A;
    }
    let root = sqrt(span_sum(sum, WG) + EPSILON);
    storageBarrier();
    workgroupBarrier();  // the values are divided by other lanes than wrote them
    for (var a = lane; a < begin; a += WG) { work[values + a] /= root; }
    if (lane == 0u) { lists[to] = begin; }
  }
}

// Scales the entries of a trace by `keep` and drops those below `smallest`; returns how many are left.
fn leak(dense: u32, list: u32, keep: f32, smallest: f32) -> u32 {
  let A = length(list);
  var kept = 0u;
  for (var first = 0u; first < A; first += WG) {
    let a = first + lane;
    var strong = false;
    var source = 0u;
    if (a < A) {
      source = lists[list + 1u + a];
      let left = work[dense + source] * keep;
      strong = abs(left) >= smallest;
      work[dense + source] = select(0.0, left, strong);
    }
    let rank = rank_of(strong);
    if (strong) { lists[list + 1u + kept + rank.x] = source; }
    kept += rank.y;
  }
  storageBarrier();
  workgroupBarrier();
  return kept;
}

// Adds times * amount[l] at sources[l] where it is above `floor`; the new sources go behind the `kept` first, as far as
// there is room for `most`.
fn add(dense: u32, list: u32, kept: u32, sources: u32, amount: u32, times: f32, floor: f32, L: u32, most: u32) {
  var length = kept;
  for (var first = 0u; first < L; first += WG) {
    let l = first + lane;
    var fresh = false;
    var source = 0u;
    if (l < L) {
      let added = work[amount + l] * times;
      source = lists[sources + l];
      if (added > floor) {
        let old = work[dense + source];
        fresh = old == 0.0;
        work[dense + source] = old + added;
      }
    }
    let rank = rank_of(fresh);
    if (fresh && length + rank.x < most) {
      lists[list + 1u + length + rank.x] = source;
    } else if (fresh) {
      work[dense + source] = 0.0;
    }
    length = min(length + rank.y, most);
  }
  if (lane == 0u) { lists[list] = length; }
}

fn fast_update(cells: u32, cell: u32, fast: u32, fast_list: u32, decay: f32, write: f32, L: u32, most: u32) {
  let kept = leak(fast, fast_list, decay, SMALLEST);
  add(fast, fast_list, kept, cells, cell, 1.0, write, L, most);
}

fn fast_update_at(cells: u32, cell: u32, tick: u32, fast: u32, fast_list: u32, decay: f32, write: f32, L: u32, most: u32) {
  // Where there is no tick: scaled by 1, dropping nothing (what is new may be small), adding 0.
  let now = work[tick];
  let kept = leak(fast, fast_list, select(1.0, decay, now > 0.0), select(0.0, SMALLEST, now > 0.0));
  add(fast, fast_list, kept, cells, cell, now, select(0.0, write, now > 0.0), L, most);
}

fn slow_update(winners: u32, activity: u32, surprise: u32, slow: u32, slow_list: u32, sure: f32, K: u32,
               most: u32) {
  let p = select(0.0, work[surprise], work[surprise] >= sure);
  // No early return for p = 0: the compiler cannot know that all lanes see the same p. Scaled by 1 and adding 0, the
  // trace stands still of itself.
  let kept = leak(slow, slow_list, 1.0 - FORGET * p, SMALLEST);
  add(slow, slow_list, kept, winners, activity, p, SMALLEST, K, most);
}

fn append(pair_index: u32, sparse: bool, x: u32, index: u32, value: u32, start: u32, norm: u32, base: u32, D: u32) {
  let A = length(index);
  var sum = 0.0;
  for (var i = lane; i < D; i += WG) { sum += work[x + i] * work[x + i]; }
  let root = sqrt(span_sum(sum, WG) + EPSILON);
  for (var i = lane; i < D; i += WG) {
    var source = i;
    if (sparse) { source = lists[pair_index + i]; }
    lists[index + 1u + A + i] = base + source;
    work[value + A + i] = work[x + i] / root;
  }
  if (lane == 0u) {
    lists[index] = A + D;
    lists[start] = A;
    work[norm] = root;
  }
}

fn context_append_forward(x: u32, index: u32, value: u32, start: u32, norm: u32, base: u32, D: u32) {
  append(0u, false, x, index, value, start, norm, base, D);
}

fn context_append_sparse(pair_index: u32, x: u32, index: u32, value: u32, start: u32, norm: u32, base: u32, L: u32) {
  append(pair_index, true, x, index, value, start, norm, base, L);
}

fn context_append_backward(dvalue: u32, value: u32, start: u32, norm: u32, dx: u32, D: u32) {
  let begin = lists[start];
  var sum = 0.0;
  for (var i = lane; i < D; i += WG) { sum += work[dvalue + begin + i] * work[value + begin + i]; }
  let along = span_sum(sum, WG);
  for (var i = lane; i < D; i += WG) {
    work[dx + i] = (work[dvalue + begin + i] - along * work[value + begin + i]) / work[norm];
  }
}
