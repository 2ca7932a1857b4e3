// lib: arenas, noise
// Which place each synapse of a pool sees: ops/pool.py has the formulas.

// Whose synapses: where the pool's number lies in params, synapses of a row, places.
struct Pool { number: u32, F: u32, P: u32 }

// What all draws of a pool hang on; those of one of its rows hang on mix32(pool_noise ^ row).
fn pool_noise(pool: Pool) -> u32 {
  return mix32(u32(params[pool.number]));
}

// The synapse with which a row of this noise sees the place; F where it does not.
fn synapse_at(noise: u32, place: u32, pool: Pool) -> u32 {
  let F = pool.F;
  let P = pool.P;
  let f = ((place + 1u) * F - 1u) / P;
  let begin = f * P / F;
  let length = (f + 1u) * P / F - begin;
  return select(F, f, mix32(noise ^ f) % length == place - begin);
}

// How much a place counts that a row sees, for those that it does not see.
fn weight_of_visible(pool: Pool) -> f32 {
  return sqrt(f32(pool.P) / f32(pool.F));
}
