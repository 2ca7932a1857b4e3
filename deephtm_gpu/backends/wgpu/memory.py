"""The arenas on a device: storage buffers, or storage textures where these are faster to load from (see
texture_code.py). Positions and lengths are in elements of 4 bytes."""

import numpy as np
import wgpu

from deephtm_gpu.kernels.texture_code import on_textures

WIDEST = 16384  # texels in a row


class BufferMemory:
    """sizes: arena -> elements. Every arena is one buffer, bound by its number in the order of `sizes`."""

    def __init__(self, device, sizes: dict[str, int]):
        self._device, self.sizes = device, sizes
        usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST
        self._buffers = {a: device.create_buffer(size=4 * n, usage=usage) for a, n in sizes.items()}

    @staticmethod
    def most(device) -> int:
        """Elements that an arena may have."""
        return min(device.limits["max-storage-buffer-binding-size"], device.limits["max-buffer-size"]) // 4

    @staticmethod
    def layout(arenas) -> list[dict]:
        return [{"binding": i, "visibility": wgpu.ShaderStage.COMPUTE, "buffer": {"type": "storage"}}
                for i, _ in enumerate(arenas)]

    def entries(self) -> list[dict]:
        return [{"binding": i, "resource": {"buffer": b}} for i, b in enumerate(self._buffers.values())]

    def code(self, code: str) -> str:
        """A kernel's WGSL as this memory needs it."""
        return code

    def read(self, arena: str, begin: int, length: int, kind) -> np.ndarray:
        if length == 0:
            return np.zeros(0, kind)
        raw = self._device.queue.read_buffer(self._buffers[arena], buffer_offset=4 * begin, size=4 * length)
        return np.frombuffer(raw, kind).copy()

    def write(self, arena: str, begin: int, data: np.ndarray):
        if data.size:
            self._device.queue.write_buffer(self._buffers[arena], 4 * begin, data)

    def copy_to(self, other: "BufferMemory"):
        encoder = self._device.create_command_encoder()
        for arena, buffer in self._buffers.items():
            encoder.copy_buffer_to_buffer(buffer, 0, other._buffers[arena], 0, buffer.size)
        self._device.queue.submit([encoder.finish()])


class TextureMemory:
    """As BufferMemory. Elements stand row after row; "weights" has four in a texel."""

    def __init__(self, device, sizes: dict[str, int]):
        self._device, self.sizes, self._width = device, sizes, self._widest(device)
        usage = (wgpu.TextureUsage.STORAGE_BINDING | wgpu.TextureUsage.COPY_SRC | wgpu.TextureUsage.COPY_DST)
        self._textures = {
            a: device.create_texture(size=(self._width, -(-n // self._row(a))), format=self._format(a), usage=usage)
            for a, n in sizes.items()
        }

    @staticmethod
    def most(device) -> int:
        return TextureMemory._widest(device) * device.limits["max-texture-dimension-2d"]

    @staticmethod
    def _widest(device) -> int:
        widest = min(WIDEST, device.limits["max-texture-dimension-2d"])
        return 1 << (widest.bit_length() - 1)

    @staticmethod
    def _format(arena) -> str:
        return {"weights": "rgba32float", "lists": "r32uint"}.get(arena, "r32float")

    def _row(self, arena) -> int:
        """Elements in a row."""
        return self._width * (4 if arena == "weights" else 1)

    @staticmethod
    def layout(arenas) -> list[dict]:
        return [{"binding": i, "visibility": wgpu.ShaderStage.COMPUTE,
                 "storage_texture": {"access": "read-write", "format": TextureMemory._format(a)}}
                for i, a in enumerate(arenas)]

    def entries(self) -> list[dict]:
        return [{"binding": i, "resource": t.create_view()} for i, t in enumerate(self._textures.values())]

    def code(self, code: str) -> str:
        return on_textures(code, self._width)

    def read(self, arena: str, begin: int, length: int, kind) -> np.ndarray:
        if length == 0:
            return np.zeros(0, kind)
        row = self._row(arena)
        first, last = begin // row, (begin + length - 1) // row
        left, across = (begin - first * row, length) if first == last else (0, row)
        raw = self._device.queue.read_texture(*self._rectangle(arena, first, last + 1, left, across))
        read = np.frombuffer(raw, kind)
        return read[begin - first * row - left :][:length].copy()

    def write(self, arena: str, begin: int, data: np.ndarray):
        data, row, at = np.ascontiguousarray(data).reshape(-1), self._row(arena), 0
        while at < data.size:
            y, x = divmod(begin + at, row)
            rows = (data.size - at) // row if x == 0 else 0  # whole rows at once
            across = row if rows else min(row - x, data.size - at)
            n = max(rows, 1) * across
            target, layout, size = self._rectangle(arena, y, y + max(rows, 1), x, across)
            self._device.queue.write_texture(target, data[at : at + n], layout, size)
            at += n

    def _rectangle(self, arena, top, bottom, left, across):
        texel = 4 if arena == "weights" else 1
        region = {"texture": self._textures[arena], "mip_level": 0, "origin": (left // texel, top, 0)}
        layout = {"offset": 0, "bytes_per_row": 4 * across, "rows_per_image": bottom - top}
        return region, layout, (across // texel, bottom - top, 1)

    def copy_to(self, other: "TextureMemory"):
        encoder = self._device.create_command_encoder()
        for arena, texture in self._textures.items():
            encoder.copy_texture_to_texture({"texture": texture}, {"texture": other._textures[arena]}, texture.size)
        self._device.queue.submit([encoder.finish()])
