// Which positions of a fine map (X positions, W in a row) a position of a coarse one (Y, V in a row) sees: those at its row and
// column times stride, less pad, plus 0..side-1. ops/conv.py says more.
struct Window { X: u32, W: u32, Y: u32, V: u32, side: u32, stride: u32, pad: u32 }
const NOWHERE: u32 = 0xffffffffu;

// The fine row (or column) at offset `off` of coarse row (or column) `at`; NOWHERE outside the map, whose size is n.
fn fine_of(at: u32, off: u32, n: u32, window: Window) -> u32 {
  let padded = at * window.stride + off;
  return select(NOWHERE, padded - window.pad, padded >= window.pad && padded - window.pad < n);
}

// The first offset at which the window of a coarse row (or column) may meet the fine one `at`; the others follow by strides.
fn first_offset(at: u32, window: Window) -> u32 {
  return (at + window.pad) % window.stride;
}

// The coarse row (or column) that meets the fine one `at` at offset `off`, one of those of `first_offset`; NOWHERE if it is
// outside the map, whose size is n.
fn coarse_of(at: u32, off: u32, n: u32, window: Window) -> u32 {
  let padded = at + window.pad;
  let coarse = (padded - off) / window.stride;
  return select(NOWHERE, coarse, padded >= off && coarse < n);
}

// The offsets of a coarse column whose fine ones are inside the map: so many from `first` on, the fine column `at` and the next.
struct Inside { first: u32, count: u32, at: u32 }

fn inside(at: u32, n: u32, window: Window) -> Inside {
  let begin = at * window.stride;
  let first = select(0u, window.pad - begin, window.pad > begin);
  let last = min(window.side, select(0u, n + window.pad - begin, n + window.pad > begin));
  return Inside(first, select(0u, last - first, last > first), begin + first - window.pad);
}
