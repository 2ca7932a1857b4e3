// lib: arenas
// The cells of the winning columns: cells[k*M + i] = winners[k]*M + i.
// Storage: winners (K), cells (K*M) in lists. Dispatch: one workgroup a stream.

fn cells_forward(winners: u32, cells: u32, K: u32, M: u32) {
  for (var l = lane; l < K * M; l += WG) { lists[cells + l] = lists[winners + l / M] * M + l % M; }
}
