// lib: arenas, reduce
// Grid cells: phases that sum up a path, and the activity of G modules of B x B cells at them.
//   path      travelled = wrap(travelled + R movement), path += movement, both from 0 where restart > 0.5;
//             phase = wrap(travelled + anchor), displacement = path
//   grid      e = sharpness (cos 2 pi d1 + cos 2 pi d2 + cos 2 pi (d1 + d2)), d = phase - (i, j) / B;
//             v = softmax(e in the module) - 1 / B^2; code = v / norm, norm = sqrt(|v|^2 + EPSILON) over all modules
//   backward  dv = (dcode - code (code . dcode)) / norm, de = g (dv - sum g dv in the module), dphase = sum de d e / d phase
// Storage: weight in weights (vec4, rows of ceil(D/4)); all else in work, vectors padded with zeros to a multiple of 4.
// Dispatch: one workgroup a stream; modules stand side by side, a run of lanes each. Workgroup memory: 4 bytes a lane.
const HALF_TURN: f32 = 3.14159265;

// In periods -> the same in [0, 1). What is less than half a rounding below a whole number would come out as 1. NaN stays NaN.
fn wrap(phase: f32) -> f32 {
  let rest = phase - floor(phase);
  return select(rest, 0.0, rest >= 1.0);
}

fn path_forward(movement: u32, weight: u32, restart: u32, anchor: u32, travelled: u32, path: u32, phase: u32, displacement: u32,
                D: u32, G: u32) {
  let Q = (D + 3u) / 4u;
  let anew = work[restart] > 0.5;
  for (var r = lane; r < 2u * G; r += WG) {
    var moved = 0.0;
    for (var q = 0u; q < Q; q++) { moved += dot(weights[weight + r * Q + q], work4(movement + 4u * q)); }
    let now = wrap(select(work[travelled + r], 0.0, anew) + moved);
    work[travelled + r] = now;
    work[phase + r] = wrap(now + work[anchor + r]);
  }
  for (var i = lane; i < D; i += WG) {
    let now = select(work[path + i], 0.0, anew) + work[movement + i];
    work[path + i] = now;
    work[displacement + i] = now;
  }
}

// sin(pi x) for x within -0.5 .. 0.5, to the last digits: WGSL lets sin() and cos() be off by 5e-4, and some adapters' are.
fn sine(x: vec3<f32>) -> vec3<f32> {
  let a = HALF_TURN * x;
  let b = a * a;
  return a * (1.0 + b * (-1.6666667e-1 + b * (8.3333333e-3 + b * (-1.9841270e-4 + b * (2.7557319e-6 + b * (-2.5052108e-8 + b * 1.6059044e-10))))));
}

// cos and sin of 2 pi x for x within -0.5 .. 0.5.
fn cos_of(x: vec3<f32>) -> vec3<f32> {
  let s = sine(x);
  return 1.0 - 2.0 * s * s;
}

fn sin_of(x: vec3<f32>) -> vec3<f32> { return 2.0 * sine(x) * sine(0.5 - abs(x)); }

// The three plane waves at cell c of the module whose phase lies there, in turns from -0.5 to 0.5.
fn waves(phase: u32, c: u32, B: u32) -> vec3<f32> {
  let d1 = work[phase] - f32(c / B) / f32(B);
  let d2 = work[phase + 1u] - f32(c % B) / f32(B);
  let d = vec3<f32>(d1, d2, d1 + d2);
  return d - floor(d + 0.5);
}

fn grid_forward(phase: u32, code: u32, norm: u32, sharpness: f32, G: u32, B: u32) {
  let n = B * B;
  let wide = lanes_for(n);  // lanes side by side on a module, the lanes left over take other modules
  var squares = 0.0;
  for (var first = 0u; first < G; first += WG / wide) {
    let m = first + lane / wide;
    let cells = select(0u, n, m < G);
    var sum = 0.0;
    for (var c = lane % wide; c < cells; c += wide) {
      let wave = cos_of(waves(phase + 2u * m, c, B));
      let p = exp(sharpness * (wave.x + wave.y + wave.z - 3.0));  // 3 is the most that there can be
      work[code + m * n + c] = p;
      sum += p;
    }
    sum = span_sum(sum, wide);
    for (var c = lane % wide; c < cells; c += wide) {
      let v = (work[code + m * n + c] * f32(n) - sum) / (sum * f32(n));  // 0 of a single cell, however an adapter divides
      work[code + m * n + c] = v;
      squares += v * v;
    }
  }
  let root = sqrt(span_sum(squares, WG) + EPSILON);
  for (var first = 0u; first < G; first += WG / wide) {
    let m = first + lane / wide;
    for (var c = lane % wide; c < select(0u, n, m < G); c += wide) { work[code + m * n + c] /= root; }
  }
  if (lane == 0u) { work[norm] = root; }
}

fn grid_backward(dcode: u32, code: u32, norm: u32, phase: u32, dphase: u32, sharpness: f32, G: u32, B: u32) {
  let n = B * B;
  let wide = lanes_for(n);
  let root = work[norm];
  var along = 0.0;
  for (var i = lane; i < G * n; i += WG) { along += work[dcode + i] * work[code + i]; }
  along = span_sum(along, WG);
  // All is divided by the norm last: divisions need not round alike, and of a single cell the difference must be 0.
  for (var first = 0u; first < G; first += WG / wide) {
    let m = first + lane / wide;
    let cells = select(0u, n, m < G);
    var mean = 0.0;
    for (var c = lane % wide; c < cells; c += wide) {
      let at = m * n + c;
      mean += (work[code + at] * root + 1.0 / f32(n)) * (work[dcode + at] - along * work[code + at]);
    }
    mean = span_sum(mean, wide);
    var d1 = 0.0;
    var d2 = 0.0;
    for (var c = lane % wide; c < cells; c += wide) {
      let at = m * n + c;
      let de = (work[code + at] * root + 1.0 / f32(n)) * (work[dcode + at] - along * work[code + at] - mean);
      let wave = sin_of(waves(phase + 2u * m, c, B));
      d1 += de * (wave.x + wave.z);
      d2 += de * (wave.y + wave.z);
    }
    d1 = span_sum(d1, wide);
    d2 = span_sum(d2, wide);
    if (lane % wide == 0u && m < G) {
      work[dphase + 2u * m] = -2.0 * HALF_TURN * sharpness * d1 / root;
      work[dphase + 2u * m + 1u] = -2.0 * HALF_TURN * sharpness * d2 / root;
    }
  }
}
