// Noise that the reference draws too, to the bit.

// A 32-bit mix (the finaliser lowbias32 of C. Wellons, 2018: public domain), the same as in the reference.
fn mix32(n: u32) -> u32 {
  var x = n ^ (n >> 16u);
  x *= 0x7feb352du;
  x ^= x >> 15u;
  x *= 0x846ca68bu;
  return x ^ (x >> 16u);
}
