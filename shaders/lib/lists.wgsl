// lib: arenas
// Which streams have a row of a matrix in their list: for updates whose workgroups own rows, not streams.
// Workgroup memory: 4,352 bytes.
const ROWS: u32 = clamp(1024u / STREAMS, 1u, 32u);  // so many rows of a matrix are looked for at once,
const AT_ONCE: u32 = 1024u / ROWS;                  // in the lists of so many streams,
const WORDS: u32 = (AT_ONCE + 31u) / 32u;           // a bit each
var<workgroup> found: array<u32, 1024>;  // where the row stands in the stream's list, if its bit in `marks` is set
var<workgroup> marks: array<atomic<u32>, 64>;

// Notes in which lists of streams first, first + 1, ... (AT_ONCE of them) rows begin to end stand with coef left != 0, and where.
// One pass over the lists serves all these rows.
fn mark(rows: u32, left: u32, coef: u32, L: u32, begin: u32, end: u32, first: u32) {
  for (var i = lane; i < ROWS * WORDS; i += WG) { atomicStore(&marks[i], 0u); }
  workgroupBarrier();
  for (var i = lane; i < min(AT_ONCE, STREAMS - first) * L; i += WG) {
    let t = i / L;
    let s = first + t;
    let n = lists[rows + s * LISTS + i % L];
    if (n >= begin && n < end) {
      if (!(work[coef + s * STREAM] * work[left + s * STREAM + i % L] == 0.0)) {
        found[(n - begin) * AT_ONCE + t] = i % L;
        atomicOr(&marks[(n - begin) * WORDS + t / 32u], 1u << (t % 32u));  // no other lane has this bit: the order does not matter
      }
    }
  }
  workgroupBarrier();
}
