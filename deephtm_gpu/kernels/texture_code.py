"""Kernels on textures: the same WGSL, its arenas read and written texel by texel.

llvmpipe loads from a storage buffer lane by lane, in a loop; from a texture all lanes at once, six to ten times faster
(measured, Mesa 22.3). So there an arena is a storage texture, and `work[i]`, `work[i] = v`, `work[i] += v` become
calls. The shaders do not know: this is a translation of their text.
"""

import re

_ARENA = re.compile(r"@group\(0\) @binding\((\d+)\) var<storage, read_write> (\w+): array<([^;]+)>;")
_TEXELS = {"f32": ("r32float", ".x", "vec4<f32>(v, 0.0, 0.0, 0.0)"),
           "u32": ("r32uint", ".x", "vec4<u32>(v, 0u, 0u, 0u)"),
           "vec4<f32>": ("rgba32float", "", "v")}
_ASSIGNED = re.compile(r"\s*([-+*/]?)=(?!=)")
_UNKNOWN = re.compile(r"\s*(?:\+\+|--|[%&|^]=|<<=|>>=)")


def on_textures(code: str, width: int) -> str:
    """WGSL on storage buffers -> the same on textures of so many texels in a row, a power of two."""
    arenas = [name for _, name, _ in _ARENA.findall(code)]
    code = _ARENA.sub(lambda found: _declaration(*found.groups(), width), code).replace("storageBarrier()",
                                                                                        "textureBarrier()")
    return _translate(code, re.compile(rf"(?<![\w.])({'|'.join(arenas)})\["))


def _declaration(binding, name, kind, width):
    texel, part, whole = _TEXELS[kind]
    coords = f"vec2<u32>(i & {width - 1}u, i >> {width.bit_length() - 1}u)"
    return "\n".join([
        f"@group(0) @binding({binding}) var {name}: texture_storage_2d<{texel}, read_write>;",
        f"fn load_{name}(i: u32) -> {kind} {{ return textureLoad({name}, {coords}){part}; }}",
        f"fn store_{name}(i: u32, v: {kind}) {{ textureStore({name}, {coords}, {whole}); }}",
    ])


def _translate(code: str, use: re.Pattern) -> str:
    done, at = [], 0
    while found := use.search(code, at):
        name, begin = found.group(1), found.end()
        end = _closing(code, begin)
        index = _translate(code[begin:end], use)
        done.append(code[at:found.start()])
        at = end + 1
        if assigned := _ASSIGNED.match(code, at):
            end = code.index(";", at)
            value = _translate(code[assigned.end():end].strip(), use)
            if assigned.group(1):
                value = f"load_{name}({index}) {assigned.group(1)} ({value})"
            done.append(f"store_{name}({index}, {value})")
            at = end
        elif _UNKNOWN.match(code, at):
            raise ValueError(f"{name}[{index}] is changed in a way that has no translation: {code[at:at + 12]!r}; "
                             "write = or +=, -=, *=, /=")
        else:
            done.append(f"load_{name}({index})")
    return "".join([*done, code[at:]])


def _closing(code, begin):
    """Where the bracket closes that stands open before `begin`."""
    depth, at = 1, begin
    while depth:
        depth += {"[": 1, "]": -1}.get(code[at], 0)
        at += 1
    return at - 1
