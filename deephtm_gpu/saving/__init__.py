"""Models as files: everything needed to continue to the bit."""
