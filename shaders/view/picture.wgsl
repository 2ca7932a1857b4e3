// The live picture: lines and marks over a background that was painted beforehand.
//
// rows: float rows of a ring, a step each (see view/live/ring.py); NOTHING where a step has no such number.
// draw: one layer of the picture, chosen by a dynamic offset. now: (slot of the newest step, steps there are, 0, 0).
// Dispatch: six corners, two triangles, for each segment of a line, for each mark, for a panel of cells. (Instances would be prettier,
// and cost twice as much on a software adapter.) No workgroup memory.

const NOTHING: f32 = -1e30;
const BAR: u32 = 0u;      // from the bottom up to the value
const COLUMN: u32 = 1u;   // a winner at its column: the less it was predicted, the more of the second colour
const SHADE: u32 = 2u;    // a class, as bright as probable; a place of a block
const CLASS: u32 = 3u;    // the class that came
const DOT: u32 = 4u;      // in the middle of a place that is marked

const PIXELS: u32 = 1u;   // instead of cells: numbers are colours, 24 bits each (see view/live/picture.py)

const MARK: f32 = 2.0;    // what the number of a marked place has more (see view/live/block.py)

struct Draw {
  panel: vec4<f32>,   // left, top, right, bottom in pixels
  range: vec4<f32>,   // value at the bottom, value at the top (SHADE, DOT: width and height as parts of a place), 1 for a logarithmic
                      // axis, line width in pixels
  first: vec4<f32>,   // colours: red, green, blue, opacity
  second: vec4<f32>,
  page: vec4<f32>,    // width, height of the target in pixels; 0, 0
  place: vec4<u32>,   // where the rows begin, numbers in a row, the field, a second field
  time: vec4<u32>,    // rows of the ring, steps shown, 1 for rows that stand still (columns of a block), 0
  kind: vec4<u32>,    // kind of mark, marks of a step: winners (K), classes, places, 1; cells (M); 0
}

@group(0) @binding(0) var<storage, read> rows: array<f32>;
@group(0) @binding(1) var<uniform> draw: Draw;
@group(0) @binding(2) var<uniform> now: vec4<u32>;

struct Corner {
  @builtin(position) position: vec4<f32>,
  @location(0) @interpolate(flat) colour: vec4<f32>,
  @location(1) @interpolate(flat) shape: vec4<f32>,  // a line's two ends, or a mark's left, top, right, bottom
}

// Where things stand

fn steps_there() -> u32 { return select(min(now.y, draw.time.y), draw.time.x, draw.time.z == 1u); }

fn place(age: u32, field: u32) -> u32 {  // age: steps before the newest one
  let newest = select(now.x, draw.time.x - 1u, draw.time.z == 1u);
  let slot = newest - age + select(0u, draw.time.x, age > newest);
  return draw.place.x + slot * draw.place.y + field;
}

fn number(age: u32, field: u32) -> f32 { return rows[place(age, field)]; }

fn across(age: f32) -> f32 {  // the middle of a step
  return draw.panel.z - (age + 0.5) * (draw.panel.z - draw.panel.x) / f32(draw.time.y);
}

fn up(value: f32) -> f32 {
  var part = (value - draw.range.x) / (draw.range.y - draw.range.x);
  if (draw.range.z == 1.0) {
    part = log(max(value, draw.range.x) / draw.range.x) / log(draw.range.y / draw.range.x);
  }
  return mix(draw.panel.w, draw.panel.y, clamp(part, 0.0, 1.0));
}

fn on_page(at: vec2<f32>) -> vec4<f32> {
  return vec4<f32>(at.x / draw.page.x * 2.0 - 1.0, 1.0 - at.y / draw.page.y * 2.0, 0.0, 1.0);
}

const CORNERS = array<u32, 6>(0u, 1u, 2u, 1u, 2u, 3u);  // of two triangles; 1: right, 2: lower

fn nowhere() -> Corner { return Corner(vec4<f32>(2.0, 2.0, 2.0, 1.0), vec4<f32>(), vec4<f32>()); }

// Lines: a segment from each step to the one before, with round ends

@vertex
fn line_corner(@builtin(vertex_index) vertex: u32) -> Corner {
  let age = vertex / 6u;
  let corner = CORNERS[vertex % 6u];
  if (age + 1u >= steps_there()) { return nowhere(); }
  let a = number(age, draw.place.z);
  let b = number(age + 1u, draw.place.z);
  if (a == NOTHING || b == NOTHING) { return nowhere(); }
  let ends = vec4<f32>(across(f32(age)), up(a), across(f32(age) + 1.0), up(b));
  let along = normalize(ends.zw - ends.xy);
  let reach = 0.5 * draw.range.w + 1.0;
  let far = corner > 1u;  // the corners: two at this end, two at the far one
  let side = select(-reach, reach, (corner & 1u) == 1u);
  let end = select(ends.xy - along * reach, ends.zw + along * reach, far);
  return Corner(on_page(end + vec2<f32>(-along.y, along.x) * side), draw.first, ends);
}

@fragment
fn line_colour(it: Corner) -> @location(0) vec4<f32> {
  let along = it.shape.zw - it.shape.xy;
  let from_end = it.position.xy - it.shape.xy;
  let nearest = clamp(dot(from_end, along) / max(dot(along, along), 1e-6), 0.0, 1.0);
  let cover = clamp(0.5 * draw.range.w + 0.5 - length(from_end - nearest * along), 0.0, 1.0);
  return vec4<f32>(it.colour.rgb, it.colour.a * cover);
}

// Marks: upright rectangles

fn boxed(box: vec4<f32>, colour: vec4<f32>, corner: u32) -> Corner {
  let at = vec2<f32>(select(box.x - 0.5, box.z + 0.5, (corner & 1u) == 1u), select(box.y - 0.5, box.w + 0.5, corner > 1u));
  return Corner(on_page(at), colour, box);
}

fn level(place: f32, parts: f32) -> f32 {  // the middle of one of so many equal stretches, the first at the bottom
  return mix(draw.panel.w, draw.panel.y, (place + 0.5) / parts);
}

@vertex
fn mark_corner(@builtin(vertex_index) vertex: u32) -> Corner {
  let mark = vertex / 6u;
  let corner = CORNERS[vertex % 6u];
  let each = draw.kind.y;
  let age = mark / each;
  let n = mark % each;
  if (age >= steps_there()) { return nowhere(); }
  let value = number(age, draw.place.z + n);
  if (value == NOTHING) { return nowhere(); }

  let wide = (draw.panel.z - draw.panel.x) / f32(draw.time.y);
  let tall = draw.panel.w - draw.panel.y;
  let x = across(f32(age));
  var half = vec2<f32>(0.5 * wide, 0.0);
  var y = 0.0;
  var colour = draw.first;
  switch (draw.kind.x) {
    case BAR: {
      let top = min(up(value), draw.panel.w - 0.5);
      y = 0.5 * (draw.panel.w + top);
      half = vec2<f32>(0.42 * wide, 0.5 * (draw.panel.w - top));
      colour = mix(draw.first, draw.second, clamp(value, 0.0, 1.0));
    }
    case COLUMN: {
      y = level(value, draw.range.y);
      half = vec2<f32>(0.5 * max(wide, draw.range.w), 0.5 * max(tall / draw.range.y, draw.range.w));
      colour = mix(draw.second, draw.first, number(age, draw.place.w + n));
    }
    case SHADE: {
      let shade = value - select(0.0, MARK, value >= MARK);
      if (shade < 0.01) { return nowhere(); }
      y = level(f32(n), f32(each));
      half = 0.5 * vec2<f32>(draw.range.x * wide, max(draw.range.y * tall / f32(each), draw.range.w));
      colour.a *= clamp(shade, 0.0, 1.0);
    }
    case DOT: {
      if (value < MARK) { return nowhere(); }
      y = level(f32(n), f32(each));
      half = 0.5 * max(draw.range.xy * vec2<f32>(wide, tall / f32(each)), draw.range.ww);
    }
    default: {  // CLASS
      y = level(value, draw.range.y);
      half = 0.5 * vec2<f32>(max(0.6 * wide, draw.range.w), max(0.34 * tall / draw.range.y, draw.range.w));
    }
  }
  return boxed(vec4<f32>(x - half.x, y - half.y, x + half.x, y + half.y), colour, corner);
}

@fragment
fn mark_colour(it: Corner) -> @location(0) vec4<f32> {
  // How much of this pixel the rectangle covers.
  let least = max(it.shape.xy, it.position.xy - 0.5);
  let most = min(it.shape.zw, it.position.xy + 0.5);
  let cover = max(most - least, vec2<f32>());
  return vec4<f32>(it.colour.rgb, it.colour.a * cover.x * cover.y);
}

// Cells: a winner's, one over the other, each as bright as its share; the more alike they are, the more of the second colour.
// Or pixels: a block of packed colours, one per pixel.

@vertex
fn cell_corner(@builtin(vertex_index) vertex: u32) -> Corner { return boxed(draw.panel, draw.first, CORNERS[vertex]); }

fn pixel_colour(at: vec2<f32>) -> vec4<f32> {
  let wide = draw.time.y;
  let tall = draw.kind.y;
  let part = clamp((at - draw.panel.xy) / (draw.panel.zw - draw.panel.xy), vec2<f32>(), vec2<f32>(0.99999));
  let column = u32(part.x * f32(wide));
  let row = tall - 1u - u32(part.y * f32(tall));
  let bits = u32(rows[draw.place.x + column * draw.place.y + row]);
  return vec4<f32>(vec3<f32>(vec3<u32>(bits >> 16u, (bits >> 8u) & 255u, bits & 255u)) / 255.0, 1.0);
}

@fragment
fn cell_colour(it: Corner) -> @location(0) vec4<f32> {
  if (draw.kind.x == PIXELS) { return pixel_colour(it.position.xy); }
  let K = draw.kind.y;
  let M = draw.kind.z;
  let wide = (draw.panel.z - draw.panel.x) / f32(draw.time.y);
  let tall = (draw.panel.w - draw.panel.y) / f32(K * M);
  let age = u32(max(draw.panel.z - it.position.x, 0.0) / wide);
  let n = min(u32(max(draw.panel.w - it.position.y, 0.0) / tall), K * M - 1u);
  let share = number(age, draw.place.z + n);
  if (age >= steps_there() || share <= 0.0) { return vec4<f32>(); }
  let away = abs(it.position.xy - vec2<f32>(across(f32(age)), level(f32(n), f32(K * M))));
  let cover = clamp(vec2<f32>(0.46 * wide, 0.42 * tall) + 0.5 - away, vec2<f32>(), vec2<f32>(1.0));
  let colour = mix(draw.first, draw.second, number(age, draw.place.w + n / M));
  return vec4<f32>(colour.rgb, colour.a * sqrt(share) * cover.x * cover.y);
}
