// lib: arenas
// Ops that only move numbers. Storage: in work; indices (index, kept_index) in lists.
// Dispatch: one workgroup a stream.

fn copy_forward(x: u32, y: u32, D: u32) {
  for (var i = lane; i < D; i += WG) { work[y + i] = work[x + i]; }
}

fn copy_index(index: u32, y: u32, D: u32) {
  for (var i = lane; i < D; i += WG) { lists[y + i] = lists[index + i]; }
}

fn number_forward(index: u32, y: u32, D: u32) {
  for (var i = lane; i < D; i += WG) { work[y + i] = f32(lists[index + i]); }
}

fn index_forward(numbers: u32, index: u32, D: u32) {
  for (var i = lane; i < D; i += WG) { lists[index + i] = u32(work[numbers + i]); }
}

fn keep_update(x: u32, kept: u32, D: u32) { copy_forward(x, kept, D); }

fn keep_index(index: u32, kept_index: u32, D: u32) { copy_index(index, kept_index, D); }

fn add_forward(a: u32, b: u32, y: u32, D: u32) {
  for (var i = lane; i < D; i += WG) { work[y + i] = work[a + i] + work[b + i]; }
}

fn scale_forward(x: u32, y: u32, by: f32, D: u32) {
  for (var i = lane; i < D; i += WG) { work[y + i] = by * work[x + i]; }
}

fn concat_forward(a: u32, c: u32, y: u32, D: u32, I: u32) {
  copy_forward(a, y, D);
  copy_forward(c, y + D, I);
}

fn concat_backward(dy: u32, da: u32, db: u32, D: u32, I: u32) {
  copy_forward(dy, da, D);
  copy_forward(dy + D, db, I);
}

fn dense_forward(index: u32, value: u32, y: u32, D: u32, L: u32) {
  for (var i = lane; i < D; i += WG) { work[y + i] = 0.0; }
  storageBarrier();
  workgroupBarrier();
  for (var l = lane; l < L; l += WG) { work[y + lists[index + l]] = work[value + l]; }
}

fn dense_backward(dy: u32, index: u32, dvalue: u32, L: u32) {
  for (var l = lane; l < L; l += WG) { work[dvalue + l] = work[dy + lists[index + l]]; }
}
