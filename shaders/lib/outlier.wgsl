// What counts as an outlier, and what becomes of the largest of late: ops/outlier.py says why.
const LIMIT: f32 = 8.0;
const GROWTH: f32 = 2.0;
const KEPT: f32 = 0.9999;
const FIRST: f32 = 10.0;

// Whether a size counts as an outlier beside the largest of late, of so many seen (up to FIRST).
fn is_outlier(size: f32, largest_of_late: f32, seen: f32) -> bool {
  return size > LIMIT * largest_of_late && seen >= FIRST && largest_of_late > 0.0;
}

// What the size of an outlier is multiplied by.
fn outlier_factor(size: f32, largest_of_late: f32) -> f32 {
  let part = LIMIT * largest_of_late / size;
  return part * part * part * part;
}

fn next_largest(size: f32, largest_of_late: f32, outlying: bool) -> f32 {
  return select(max(size, KEPT * largest_of_late), GROWTH * largest_of_late, outlying);
}
