"""Kernels with all their lanes, run one after the other between barriers, every access to memory watched: the debugger
of the shaders. Slow: for small plans.

    memory.py      memory that knows who touched what since the last barrier
    meaning.py     what WGSL's operators and functions do
    python_code.py trees of WGSL -> Python
    backend.py     a plan run in this way
"""
