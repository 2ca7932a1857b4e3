// lib: arenas
// Eight numbers side by side: two quads here, one register where the shaders are compiled for a processor (backends/cpu), which
// has its own meaning of these functions.
// Workgroup memory: none.
struct Eight { a: vec4<f32>, b: vec4<f32> }

fn work8(at: u32) -> Eight { return Eight(work4(at), work4(at + 4u)); }

// Two quads of weights, from number j (a multiple of 4) of the row on.
fn weights8(row: u32, j: u32) -> Eight { return Eight(weights[row + j / 4u], weights[row + j / 4u + 1u]); }

fn put_weights8(row: u32, j: u32, v: Eight) {
  weights[row + j / 4u] = v.a;
  weights[row + j / 4u + 1u] = v.b;
}

fn put8(at: u32, v: Eight) {
  put4(at, v.a);
  put4(at + 4u, v.b);
}

// sum + factor x
fn add_scaled8(sum: Eight, factor: f32, x: Eight) -> Eight { return Eight(sum.a + factor * x.a, sum.b + factor * x.b); }

// sum + x y
fn add_product8(sum: Eight, x: Eight, y: Eight) -> Eight { return Eight(sum.a + x.a * y.a, sum.b + x.b * y.b); }

fn total8(v: Eight) -> f32 { return dot(v.a + v.b, vec4<f32>(1.0)); }
