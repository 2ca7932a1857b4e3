// lib: arenas
// How a parameter steps along its gradient; ops/rule.py has the formulas and the names.
// A kernel declares each rule once, `const RULE0 = Rule(...)`, and passes it by value: what is 0 is left out when it is compiled.

// share1, share2: 1 - beta1 and 1 - beta2, which in float32 would lose the digits that count.
struct Rule {
  beta1: f32, beta2: f32, share1: f32, share2: f32, log1: f32, log2: f32, epsilon: f32, decay: f32, decay_rate: f32, floor: f32
}

// A learned parameter: where it lies, where its moment and its power lie, and its lr_scale.
struct Parameter { at: u32, moment: u32, power: u32, scale: f32 }

// How fast a row moves when `k` updates came before.
struct StepSize { rate: f32, epsilon: f32, shrink: f32 }

// 1 - exp(x) for x <= 0, without cancellation near 0.
fn below_one(x: f32) -> f32 {
  if (x < -0.5) { return 1.0 - exp(x); }
  return -x * (1.0 + x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0 * (1.0 + x / 5.0 * (1.0 + x / 6.0 * (1.0 + x / 7.0))))));
}

fn step_size(rate: f32, k: f32, rule: Rule) -> StepSize {
  let now = rate * max(rule.floor, 1.0 / (1.0 + k * rule.decay_rate));
  var p = StepSize(now, rule.epsilon, 1.0 - now * rule.decay);
  if (rule.log2 != 0.0) {
    let corrected = sqrt(below_one((k + 1.0) * rule.log2));
    p.epsilon *= corrected;
    p.rate *= corrected;
    if (rule.log1 != 0.0) { p.rate /= below_one((k + 1.0) * rule.log1); }
  }
  return p;
}

// Whether the rule depends on how many updates came before.
fn is_counted(rule: Rule) -> bool { return rule.log2 != 0.0 || rule.decay_rate != 0.0; }

// Whether a step is a sum over the streams.
fn is_sum(rule: Rule) -> bool { return rule.beta1 == 0.0 && rule.beta2 == 0.0 && rule.decay == 0.0; }

// One step of an entry of a parameter in params.
fn descend(theta: Parameter, entry: u32, gradient: f32, p: StepSize, rule: Rule) {
  var step = gradient;
  if (rule.beta1 != 0.0) {
    let old = params[theta.moment + entry];
    step = select(rule.beta1 * old + gradient, old + rule.share1 * (gradient - old), rule.beta2 != 0.0);
    params[theta.moment + entry] = step;
  }
  if (rule.beta2 != 0.0) {
    let old = params[theta.power + entry];
    let mean = old + rule.share2 * (gradient * gradient - old);
    params[theta.power + entry] = mean;
    step /= sqrt(mean) + p.epsilon;
  }
  params[theta.at + entry] = p.shrink * params[theta.at + entry] - p.rate * step;
}

// One step of a quad of a matrix in weights.
fn descend4(theta: Parameter, quad: u32, gradient: vec4<f32>, p: StepSize, rule: Rule) {
  var step = gradient;
  if (rule.beta1 != 0.0) {
    let old = weights[theta.moment + quad];
    step = select(rule.beta1 * old + gradient, old + rule.share1 * (gradient - old), rule.beta2 != 0.0);
    weights[theta.moment + quad] = step;
  }
  if (rule.beta2 != 0.0) {
    let old = weights[theta.power + quad];
    let mean = old + rule.share2 * (gradient * gradient - old);
    weights[theta.power + quad] = mean;
    step /= sqrt(mean) + p.epsilon;
  }
  weights[theta.at + quad] = p.shrink * weights[theta.at + quad] - p.rate * step;
}
