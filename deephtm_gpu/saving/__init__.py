"""Models as files: everything that is needed to go on to the bit."""
