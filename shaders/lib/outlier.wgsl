// What counts as an outlier, and what becomes of the recent maximum: ops/outlier.py says why.
const LIMIT: f32 = 8.0;
const GROWTH: f32 = 2.0;
const KEPT: f32 = 0.9999;
const FIRST: f32 = 10.0;

// Whether a size counts as an outlier beside the recent maximum, of so many seen (up to FIRST).
fn is_outlier(size: f32, recent_maximum: f32, seen: f32) -> bool {
  return size > LIMIT * recent_maximum && seen >= FIRST && recent_maximum > 0.0;
}

// What the size of an outlier is multiplied by.
fn outlier_factor(size: f32, recent_maximum: f32) -> f32 {
  let part = LIMIT * recent_maximum / size;
  return part * part * part * part;
}

fn next_largest(size: f32, recent_maximum: f32, outlying: bool) -> f32 {
  return select(max(size, KEPT * recent_maximum), GROWTH * recent_maximum, outlying);
}
