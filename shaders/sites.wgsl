// lib: arenas
// Maps: D numbers at each of X positions, which lie one position behind the other, each on whole quads.
//   map    x[p, d] = flat[d X + p]
//   flat   flat[d X + p] = x[p, d]
//   sites  y[d] = by sum_p x[p, d]
// Storage: all in work. Dispatch: one workgroup a stream.

fn map_forward(flat: u32, x: u32, D: u32, X: u32) {
  for (var i = lane; i < D * X; i += WG) { work[x + i % X * room_of(D) + i / X] = work[flat + i]; }
}

fn flat_forward(x: u32, flat: u32, D: u32, X: u32) {
  for (var i = lane; i < D * X; i += WG) { work[flat + i] = work[x + i % X * room_of(D) + i / X]; }
}

fn sites_forward(x: u32, y: u32, by: f32, D: u32, X: u32) {
  for (var i = lane; i < D; i += WG) {
    var sum = 0.0;
    for (var p = 0u; p < X; p++) { sum += work[x + p * room_of(D) + i]; }
    work[y + i] = by * sum;
  }
}
