// lib: arenas, noise
// Which place each synapse of a sample sees: ops/sampled.py has the formulas.

// Whose synapses: where the sample's number lies in params, synapses of a row, places.
struct Sample { number: u32, F: u32, P: u32 }

// What all draws of a sample depend on; those of one of its rows depend on mix32(sample_noise ^ row).
fn sample_noise(sample: Sample) -> u32 {
  return mix32(u32(params[sample.number]));
}

// The synapse with which a row of this noise sees the place; F where it does not.
fn synapse_at(noise: u32, place: u32, sample: Sample) -> u32 {
  let F = sample.F;
  let P = sample.P;
  let f = ((place + 1u) * F - 1u) / P;
  let begin = f * P / F;
  let length = (f + 1u) * P / F - begin;
  return select(F, f, mix32(noise ^ f) % length == place - begin);
}

// How much a place counts that a row sees, for those that it does not see.
fn weight_of_visible(sample: Sample) -> f32 {
  return sqrt(f32(sample.P) / f32(sample.F));
}
