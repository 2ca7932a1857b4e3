"""The processor backend: the shaders themselves, with one lane, translated from WGSL to LLVM IR and compiled.

    syntax.py      WGSL text -> trees
    translate.py   trees -> LLVM IR
    builtins.py    what WGSL's own functions become
    native.py      LLVM IR -> machine code, kept on disk
    backend.py     a plan turned into one native function that goes through many steps
"""
