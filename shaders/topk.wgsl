// lib: arenas, reduce
// Global inhibition: the K largest of C overlaps win, the runner-up inhibits them all. Ties: the lower index.
//   forward   rows = the K+1 largest, largest first; lead_k = overlap[rows[k]] - overlap[rows[K]];
//             scale = sqrt(average lead^2 + EPSILON); activity = lead / scale
//   backward  dlead = (dactivity - average(dactivity activity) activity) / scale, 0 where average lead^2 < EPSILON;
//             doverlap = [dlead, -sum dlead], at rows
//   lead_forward, lead_backward   the same without the scale, which then is that of a whole map (map_norm.wgsl)
// Blocks (block b: overlaps b, b + blocks, ...), one or more a lane, keep their best in workgroup memory. K+1 rounds: the best of
// all wins, and its block is looked through for the next: by its lane, or, if it is large, by all lanes.
// Storage: overlap (C), activity, dactivity (K), scale (1), doverlap (K+1) in work; winners (K), rows (K+1) in lists.
// Dispatch: one workgroup a stream. Workgroup memory: 12 bytes a lane and 2,056 bytes.
const NONE: u32 = 0xffffffffu;
const BLOCKS: u32 = 256u;  // at most, and at runner_up as many as lanes
const ALONE: u32 = 32u;  // so many overlaps of a block are looked through by one lane sooner than by all
var<workgroup> keys: array<vec2<u32>, WG>;
var<workgroup> champion: vec2<u32>;
var<workgroup> leaders: array<vec2<u32>, BLOCKS>;

// A number that rises with the float; both zeros alike, NaN as minus infinity.
fn rising(v: f32) -> u32 {
  let bits = bitcast<u32>(v);
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0x007fffffu; }
  if ((bits & 0x7fffffffu) == 0u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}

// (key, index) a stands before b: larger key, or the same and a lower index.
fn before(a: vec2<u32>, b: vec2<u32>) -> bool {
  return a.x > b.x || (a.x == b.x && a.y < b.y);
}

// The best of the overlaps c, c + step, ... that stand behind `bound`.
fn best_after(overlap: u32, C: u32, first: u32, step: u32, bound: vec2<u32>) -> vec2<u32> {
  var best = vec2<u32>(0u, NONE);
  for (var c = first; c < C; c += step) {
    let candidate = vec2<u32>(rising(work[overlap + c]), c);
    if (before(bound, candidate) && before(candidate, best)) { best = candidate; }
  }
  return best;
}

// The best of all lanes', given to every lane. Nobody is still reading `champion` when it changes: barriers lie between.
fn first_of(mine: vec2<u32>) -> vec2<u32> {
  var best = mine;
  keys[lane] = best;
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane < half) {
      let other = keys[lane + half];
      if (before(other, best)) { best = other; }
      keys[lane] = best;
    }
  }
  if (lane == 0u) { champion = best; }
  workgroupBarrier();
  return champion;
}

// The best of this lane's blocks.
fn first_leader(blocks: u32) -> vec2<u32> {
  var best = vec2<u32>(0u, NONE);
  for (var b = lane; b < blocks; b += WG) {
    if (before(leaders[b], best)) { best = leaders[b]; }
  }
  return best;
}

// With one lane: the best so far stand in order, and each overlap goes to its place among them. Most are below the last of
// these; four that are (and no NaN is) need no closer look.
fn choose_alone(overlap: u32, winners: u32, rows: u32, K: u32, C: u32) {
  var count = 0u;
  for (var c = 0u; c < C; c++) {
    if (count > K) {
      let last = work[overlap + leaders[K].y];
      for (; c + 4u <= C; c += 4u) {
        let four = work4(overlap + c);
        if (!(max(max(four.x, four.y), max(four.z, four.w)) <= last)) { break; }
      }
      if (c == C) { break; }
    }
    let candidate = vec2<u32>(rising(work[overlap + c]), c);
    if (count > K && !before(candidate, leaders[K])) { continue; }
    var at = min(count, K);
    for (; at > 0u && before(candidate, leaders[at - 1u]); at--) { leaders[at] = leaders[at - 1u]; }
    leaders[at] = candidate;
    count++;
  }
  for (var k = 0u; k <= K; k++) {
    lists[rows + k] = leaders[k].y;
    if (k < K) { lists[winners + k] = leaders[k].y; }
  }
}

fn choose(overlap: u32, winners: u32, rows: u32, K: u32, C: u32) {
  if (WG == 1u && K < BLOCKS) {
    choose_alone(overlap, winners, rows, K, C);
    return;
  }
  // The power of two that makes blocks of at most ALONE. (No loop: what depends on it can be worked out before the kernel runs.)
  let blocks = clamp(1u << (32u - countLeadingZeros((C - 1u) / ALONE)), WG, BLOCKS);
  let together = blocks * ALONE < C;
  for (var b = lane; b < blocks; b += WG) { leaders[b] = best_after(overlap, C, b, blocks, vec2<u32>(NONE, 0u)); }
  var mine = first_leader(blocks);
  for (var k = 0u; k <= K; k++) {
    let best = first_of(mine);
    let block = best.y % blocks;
    var next = vec2<u32>(0u, NONE);
    if (together) { next = first_of(best_after(overlap, C, block + lane * blocks, WG * blocks, best)); }
    if (mine.y == best.y) {
      lists[rows + k] = best.y;
      if (k < K) { lists[winners + k] = best.y; }
      if (!together) { next = best_after(overlap, C, block, blocks, best); }
      mine = next;
      if (blocks > WG) {
        leaders[block] = next;
        mine = first_leader(blocks);
      }
    }
  }
  storageBarrier();
  workgroupBarrier();
}

fn topk_forward(overlap: u32, winners: u32, rows: u32, activity: u32, scale: u32, K: u32, C: u32) {
  choose(overlap, winners, rows, K, C);
  let runner_up = work[overlap + lists[rows + K]];
  var sum = 0.0;
  for (var k = lane; k < K; k += WG) {
    let lead = work[overlap + lists[rows + k]] - runner_up;
    sum += lead * lead;
  }
  let root = sqrt(span_sum(sum, WG) / f32(K) + EPSILON);
  for (var k = lane; k < K; k += WG) { work[activity + k] = (work[overlap + lists[rows + k]] - runner_up) / root; }
  if (lane == 0u) { work[scale] = root; }
}

fn topk_backward(dactivity: u32, activity: u32, scale: u32, doverlap: u32, K: u32) {
  var sum = 0.0;
  for (var k = lane; k < K; k += WG) { sum += work[dactivity + k] * work[activity + k]; }
  let along = span_sum(sum, WG) / f32(K);
  let faint = work[scale] < FAINT;
  var total = 0.0;
  for (var k = lane; k < K; k += WG) {
    let dlead = select((work[dactivity + k] - along * work[activity + k]) / work[scale], 0.0, faint);
    work[doverlap + k] = dlead;
    total += dlead;
  }
  total = span_sum(total, WG);
  if (lane == 0u) { work[doverlap + K] = -total; }
}

fn lead_forward(overlap: u32, winners: u32, rows: u32, lead: u32, K: u32, C: u32) {
  choose(overlap, winners, rows, K, C);
  let runner_up = work[overlap + lists[rows + K]];
  for (var k = lane; k < K; k += WG) { work[lead + k] = work[overlap + lists[rows + k]] - runner_up; }
}

fn lead_backward(dlead: u32, doverlap: u32, K: u32) {
  var total = 0.0;
  for (var k = lane; k < K; k += WG) {
    work[doverlap + k] = work[dlead + k];
    total += work[dlead + k];
  }
  total = span_sum(total, WG);
  if (lane == 0u) { work[doverlap + K] = -total; }
}
