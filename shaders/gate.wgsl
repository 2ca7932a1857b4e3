// lib: arenas
// The gate among the M cells of each winning column: entmax of order 1.5 (Peters, Niculae & Martins 2019).
//   forward   x = (z - max z)/2; threshold: the largest support that holds; root = max(0, x - threshold);
//             cell = activity root^2
//   backward  mean = sum(root dcell) / sum(root); dz = activity root (dcell - mean); dactivity = sum(dcell root^2)
// A lane takes a whole column and looks for the next largest x instead of sorting: the support is mostly 1 to 5 cells.
// Storage: all in work: z = depolarisation, cell, root, dcell, ddepolarisation (K*M); activity, dactivity (K).
// Dispatch: one workgroup a stream.

fn gate_forward(depolarisation: u32, activity: u32, cell: u32, root: u32, K: u32, M: u32) {
  for (var k = lane; k < K; k += WG) {
    let z = depolarisation + k * M;
    var top = work[z];
    for (var i = 1u; i < M; i++) { top = max(top, work[z + i]); }
    var threshold = -1.0;
    var sum = 0.0;
    var squares = 0.0;
    var bound = 1.0;     // the last x taken, and its cell: the next one stands behind it
    var bound_cell = 0u;
    for (var n = 1u; n <= M; n++) {
      var best = -3e38;
      var best_cell = M;
      for (var i = 0u; i < M; i++) {
        let x = (work[z + i] - top) * 0.5;
        let behind = x < bound || (x == bound && i > bound_cell);
        if (behind && (x > best || best_cell == M)) { best = x; best_cell = i; }
      }
      sum += best;
      squares += best * best;
      let mean = sum / f32(n);
      let spread = squares - f32(n) * mean * mean;
      let trial = mean - sqrt(max((1.0 - spread) / f32(n), 0.0));
      if (trial > best) { break; }
      threshold = trial;
      bound = best;
      bound_cell = best_cell;
    }
    for (var i = 0u; i < M; i++) {
      let x = (work[z + i] - top) * 0.5 - threshold;
      let r = select(x, 0.0, x < 0.0);  // NaN stays NaN
      work[root + k * M + i] = r;
      work[cell + k * M + i] = work[activity + k] * r * r;
    }
  }
}

fn gate_backward(dcell: u32, root: u32, activity: u32, ddepolarisation: u32, dactivity: u32, K: u32, M: u32) {
  for (var k = lane; k < K; k += WG) {
    var weighted = 0.0;
    var total = 0.0;
    var along = 0.0;
    for (var l = k * M; l < (k + 1u) * M; l++) {
      let r = work[root + l];
      weighted += r * work[dcell + l];
      total += r;
      along += r * r * work[dcell + l];
    }
    let mean = weighted / select(total, 1.0, total == 0.0);  // 0 where the step never was: see credit.wgsl
    for (var l = k * M; l < (k + 1u) * M; l++) {
      work[ddepolarisation + l] = work[activity + k] * work[root + l] * (work[dcell + l] - mean);
    }
    work[dactivity + k] = along;
  }
}
