// lib: arenas
// Averaged weights: average += min(1, window / (k + 1)) (theta - average), where k updates came before.
//   matrix   weight, average (O, I) in weights, rows of ceil(I/4) quads; part: rows
//   vector   vector, vector_average (D) in params; part: entries
// Dispatch: any number of parts. Workgroup memory: none.

fn average_rate(k: f32, window: f32) -> f32 {
  return min(1.0, window / (k + 1.0));
}

fn average_matrix(k: f32, weight: u32, average: u32, window: f32, O: u32, I: u32, part: u32, parts: u32) {
  let rate = average_rate(k, window);
  let Q = (I + 3u) / 4u;
  let share = (O + parts - 1u) / parts;
  for (var at = part * share * Q + lane; at < min(O, (part + 1u) * share) * Q; at += WG) {
    weights[average + at] += rate * (weights[weight + at] - weights[average + at]);
  }
}

fn average_vector(k: f32, vector: u32, vector_average: u32, window: f32, D: u32, part: u32, parts: u32) {
  let rate = average_rate(k, window);
  let share = (D + parts - 1u) / parts;
  for (var i = part * share + lane; i < min(D, (part + 1u) * share); i += WG) {
    params[vector_average + i] += rate * (params[vector + i] - params[vector_average + i]);
  }
}
