// lib: arenas, noise
// Which source each synapse of a sample sees: ops/sampled.py has the formulas.

// Whose synapses: where the sample's number lies in params, synapses of a row, sources.
struct Sample { number: u32, F: u32, P: u32 }

// What all draws of a sample depend on; those of one of its rows depend on mix32(sample_noise ^ row).
fn sample_noise(sample: Sample) -> u32 {
  return mix32(u32(params[sample.number]));
}

// The stretch that a source lies in: its number, the source's place in it, how many there are.
struct Stretch { f: u32, place: u32, length: u32 }

fn stretch_of(source: u32, sample: Sample) -> Stretch {
  let F = sample.F;
  let P = sample.P;
  let f = ((source + 1u) * F - 1u) / P;
  let begin = f * P / F;
  return Stretch(f, source - begin, (f + 1u) * P / F - begin);
}

// The synapse with which a row of this noise sees the source; F where it does not.
fn synapse_at(noise: u32, source: u32, sample: Sample) -> u32 {
  let stretch = stretch_of(source, sample);
  return select(sample.F, stretch.f, mix32(noise ^ stretch.f) % stretch.length == stretch.place);
}

// How much a source counts that a row sees, for those that it does not see.
fn weight_of_visible(sample: Sample) -> f32 {
  return sqrt(f32(sample.P) / f32(sample.F));
}
