// lib: arenas
// Rectified linear unit: y = max(x, 0), dx = dy where y > 0. NaN stays NaN (max() may lose it).
// Storage: all in work. Dispatch: one workgroup a stream.

fn relu_forward(x: u32, y: u32, D: u32) {
  for (var i = lane; i < D; i += WG) {
    let v = work[x + i];
    work[y + i] = select(v, 0.0, v < 0.0);
  }
}

fn relu_backward(dy: u32, y: u32, dx: u32, D: u32) {
  for (var i = lane; i < D; i += WG) { work[dx + i] = select(0.0, work[dy + i], work[y + i] > 0.0); }
}
