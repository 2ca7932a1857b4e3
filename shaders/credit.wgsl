// lib: arenas, reduce
// Deferred credit: the gradient into a step's context goes back to the cells that made it, some of the last T steps'.
//   backward  reach[index[a]] = (dvalue - (dvalue . value) value)[a] / norm, over the A sources below N;
//             ring_credit[slot, l] += decay^(age-1) reach[ring_cells[slot, l]] for every slot of the ring, age = 1..T-1;
//             reach = 0 again; the newest step (cells, dcell) takes its slot, t mod T
//   leave     dcell_left = ring_credit of the oldest step, which becomes 0
// Storage: dvalue, value (A), norm (1), dcell, dcell_left (L), reach (N+1), ring_credit (T*L) in work; index as
// [A, sources...], cells (L), ring_cells (T*L) in lists; t a number. Dispatch: one workgroup a stream.
// Workgroup memory: 4 bytes a lane.

fn credit_backward(dvalue: u32, index: u32, value: u32, norm: u32, cells: u32, dcell: u32, t: u32, reach: u32,
                   ring_cells: u32, ring_credit: u32, decay: f32, N: u32, T: u32, L: u32) {
  let A = lists[index];
  let newest = t % T;
  var sum = 0.0;
  for (var a = lane; a < A; a += WG) {
    if (lists[index + 1u + a] < N) { sum += work[dvalue + a] * work[value + a]; }
  }
  let along = span_sum(sum, WG);
  for (var a = lane; a < A; a += WG) {
    let place = lists[index + 1u + a];
    if (place < N) { work[reach + place] = (work[dvalue + a] - along * work[value + a]) / work[norm]; }
  }
  storageBarrier();
  workgroupBarrier();
  var leaked = 1.0;
  for (var age = 1u; age < T; age++) {
    let slot = (newest + T - age) % T * L;
    for (var l = slot + lane; l < slot + L; l += WG) { work[ring_credit + l] += leaked * work[reach + lists[ring_cells + l]]; }
    leaked *= decay;
  }
  storageBarrier();
  workgroupBarrier();
  for (var a = lane; a < A; a += WG) {
    let place = lists[index + 1u + a];
    if (place < N) { work[reach + place] = 0.0; }
  }
  for (var l = lane; l < L; l += WG) {
    lists[ring_cells + newest * L + l] = lists[cells + l];
    work[ring_credit + newest * L + l] = work[dcell + l];
  }
}

fn credit_leave(t: u32, ring_credit: u32, dcell_left: u32, T: u32, L: u32) {
  let oldest = ring_credit + (t + 1u) % T * L;
  for (var l = lane; l < L; l += WG) {
    work[dcell_left + l] = work[oldest + l];
    work[oldest + l] = 0.0;
  }
}
