// lib: arenas, reduce
// A map of X positions, D numbers each, to unit root mean square of all of them together.
//   map_norm_forward    y[p, d] = (x[p, d] - mean[d]) / scale, scale = sqrt(average((x - mean)^2) + EPSILON)
//   map_unit_forward    the same without a mean
//   map_unit_backward   dx = (dy - average(dy y) y) / scale, 0 where the average of squares is below EPSILON; of both
// Storage: x, y, dy, dx (each position on whole quads) and scale (1) in work; mean (D) in params.
// Dispatch: one workgroup a stream. Workgroup memory: 4 bytes a lane.

// Where number i of a map lies.
fn map_at(i: u32, D: u32) -> u32 {
  return i / D * room_of(D) + i % D;
}

fn map_norm_forward(x: u32, mean: u32, y: u32, scale: u32, D: u32, X: u32) {
  var sum = 0.0;
  for (var i = lane; i < D * X; i += WG) {
    let centred = work[x + map_at(i, D)] - params[mean + i % D];
    sum += centred * centred;
  }
  let root = sqrt(span_sum(sum, WG) / f32(D * X) + EPSILON);
  for (var i = lane; i < D * X; i += WG) { work[y + map_at(i, D)] = (work[x + map_at(i, D)] - params[mean + i % D]) / root; }
  if (lane == 0u) { work[scale] = root; }
}

fn map_unit_forward(x: u32, y: u32, scale: u32, D: u32, X: u32) {
  var sum = 0.0;
  for (var i = lane; i < D * X; i += WG) {
    let v = work[x + map_at(i, D)];
    sum += v * v;
  }
  let root = sqrt(span_sum(sum, WG) / f32(D * X) + EPSILON);
  for (var i = lane; i < D * X; i += WG) { work[y + map_at(i, D)] = work[x + map_at(i, D)] / root; }
  if (lane == 0u) { work[scale] = root; }
}

fn map_unit_backward(dy: u32, y: u32, scale: u32, dx: u32, D: u32, X: u32) {
  var sum = 0.0;
  for (var i = lane; i < D * X; i += WG) { sum += work[dy + map_at(i, D)] * work[y + map_at(i, D)]; }
  let along = span_sum(sum, WG) / f32(D * X);
  let root = work[scale];
  let faint = root < FAINT;
  for (var i = lane; i < D * X; i += WG) {
    let at = map_at(i, D);
    work[dx + at] = select((work[dy + at] - along * work[y + at]) / root, 0.0, faint);
  }
}
