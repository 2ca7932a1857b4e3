// lib: arenas
// Sums and maxima over the lanes of a workgroup; all lanes must call them.
// Workgroup memory: 4 bytes a lane for numbers, 16 for vectors.
var<workgroup> scratch: array<f32, WG>;
var<workgroup> scratch4: array<vec4<f32>, WG>;

// The sum of the values of each run of `span` lanes (a power of two), given to every lane of it.
fn span_sum(value: f32, span: u32) -> f32 {
  if (span == 1u) { return value; }
  scratch[lane] = value;
  for (var half = span / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane % span < half) { scratch[lane] += scratch[lane + half]; }
  }
  workgroupBarrier();
  let total = scratch[lane - lane % span];
  workgroupBarrier();
  return total;
}

// The sums of the values of each run of `span` lanes (a power of two), given to every lane of it.
fn span_sum4(value: vec4<f32>, span: u32) -> vec4<f32> {
  if (span == 1u) { return value; }
  scratch4[lane] = value;
  for (var half = span / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane % span < half) { scratch4[lane] += scratch4[lane + half]; }
  }
  workgroupBarrier();
  let total = scratch4[lane - lane % span];
  workgroupBarrier();
  return total;
}

// The sums of the values of the lanes that stand `stride` apart (a power of two), given to every one of them.
fn stride_sum4(value: vec4<f32>, stride: u32) -> vec4<f32> {
  if (stride == WG) { return value; }
  scratch4[lane] = value;
  for (var half = WG / 2u; half >= stride; half /= 2u) {
    workgroupBarrier();
    if (lane < half) { scratch4[lane] += scratch4[lane + half]; }
  }
  workgroupBarrier();
  let total = scratch4[lane % stride];
  workgroupBarrier();
  return total;
}

// The largest of the values of each run of `span` lanes, likewise.
fn span_largest(value: f32, span: u32) -> f32 {
  if (span == 1u) { return value; }
  scratch[lane] = value;
  for (var half = span / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (lane % span < half) { scratch[lane] = select(scratch[lane], scratch[lane + half], scratch[lane + half] > scratch[lane]); }
  }
  workgroupBarrier();
  let top = scratch[lane - lane % span];
  workgroupBarrier();
  return top;
}

// The smallest power of two that holds n, at most WG: how many lanes to set side by side for n items.
fn lanes_for(n: u32) -> u32 {
  return min(WG, 1u << (32u - countLeadingZeros(max(n, 1u) - 1u)));  // no loop: worked out before the kernel runs
}
