// The cells of the winning columns: cells[k*M + i] = winners[k]*M + i.
// Places: winners (K), cells (K*M) in lists. Dispatch: one workgroup a stream.
@group(0) @binding(3) var<storage, read_write> lists: array<u32>;
const WG: u32 = 64u;
var<private> lane: u32;

fn cells_forward(winners: u32, cells: u32, K: u32, M: u32) {
  for (var l = lane; l < K * M; l += WG) { lists[cells + l] = lists[winners + l / M] * M + l % M; }
}
