"""Noise that depends on whole numbers alone, the same to the bit in NumPy and in WGSL."""


def mix32(x):
    """A 32-bit mix of a number below 2^32, or of uint32 numbers, which wrap by themselves (the finaliser `lowbias32` of
    C. Wellons, 2018: public domain)."""
    wrap = (lambda n: n & 0xFFFFFFFF) if isinstance(x, int) else (lambda n: n)
    x = wrap((x ^ (x >> 16)) * 0x7FEB352D)
    x = wrap((x ^ (x >> 15)) * 0x846CA68B)
    return x ^ (x >> 16)
