// lib: arenas
// Who adds up what a stream's lists hold of a row: each row has one owner, so that no two lanes add to one number.
// Workgroup memory: 4 bytes a lane.
var<workgroup> class_hits: array<u32, WG>;

// An owner, some lanes of a part side by side, has one class of a stream's rows, n % classes, or, where there are fewer
// owners than streams, all rows of several streams.
fn classes_of(owners: u32) -> u32 {
  return max(1u, owners / STREAMS);
}

// Notes which of the 32 WG entries from `first` on, of a stream's `count`, are of a class and have left != 0: every lane looks
// at 32 of them. L: entries of a site.
fn mark_hits(rows: u32, left: u32, count: u32, L: u32, first: u32, classes: u32, mine: u32) {
  var bits = 0u;
  let begin = first + 32u * lane;
  for (var b = 0u; b < 32u && begin + b < count; b++) {
    let at = (begin + b) / L * room_of(L) + (begin + b) % L;
    if (lists[rows + at] % classes == mine && !(work[left + at] == 0.0)) { bits |= 1u << b; }
  }
  class_hits[lane] = bits;
}

// How many words of `class_hits` that fills.
fn hit_words(count: u32, first: u32) -> u32 {
  return min(WG, (count - first + 31u) / 32u);
}
