// lib: arenas
// Clocks: parts of a network that step less often than the rest.
//   every  a tick each `steps` ticks of the parent; when: where the gate is open
//   hold   y = x as of the last tick, or the sum of x over the parent's ticks since the tick before
//   times  y = x times a number of the stream; trace: a leaky sum that moves at a tick
// Storage: all in work. Dispatch: one workgroup a stream.
const OPEN: f32 = 0.5;

fn begin(now: f32, started: u32, tick: u32, has_ticked: u32) {
  let since = max(work[started], now);
  work[started] = since;
  work[has_ticked] = since;
  work[tick] = now;
}

fn every_forward(parent: u32, count: u32, started: u32, tick: u32, has_ticked: u32, steps: u32) {
  if (lane == 0u) {
    let counted = work[count] + work[parent];
    let full = counted >= f32(steps);
    work[count] = select(counted, 0.0, full);
    begin(select(0.0, 1.0, full), started, tick, has_ticked);
  }
}

fn when_forward(gate: u32, parent: u32, started: u32, tick: u32, has_ticked: u32) {
  if (lane == 0u) { begin(select(0.0, work[parent], work[gate] > OPEN), started, tick, has_ticked); }
}

fn hold_forward(x: u32, tick: u32, parent: u32, kept: u32, gathered: u32, y: u32, gathers: u32, D: u32) {
  let now = work[tick] > 0.0;
  let counts = gathers == 0u || work[parent] > 0.0;
  for (var i = lane; i < D; i += WG) {
    var new_value = select(0.0, work[x + i], counts);
    if (gathers == 1u) { new_value += work[gathered + i]; }
    let held = select(work[kept + i], new_value, now);
    work[kept + i] = held;
    work[gathered + i] = select(new_value, 0.0, now);
    work[y + i] = held;
  }
}

fn times_forward(x: u32, by: u32, y: u32, D: u32) {
  let factor = work[by];
  for (var i = lane; i < D; i += WG) { work[y + i] = select(factor * work[x + i], 0.0, factor == 0.0); }
}

fn trace_forward(x: u32, tick: u32, kept: u32, y: u32, decay: f32, D: u32) {
  let now = work[tick] > 0.0;
  for (var i = lane; i < D; i += WG) {
    let value = select(work[kept + i], decay * work[kept + i] + work[x + i], now);
    work[kept + i] = value;
    work[y + i] = value;
  }
}
