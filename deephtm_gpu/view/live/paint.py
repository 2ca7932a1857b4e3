"""Draws a scene with WGSL, into a window's texture or one of its own."""

from functools import cached_property

import numpy as np
import wgpu

from deephtm_gpu.kernels.compose import shader_folder
from deephtm_gpu.view.live.layers import RECORD, layers_of
from deephtm_gpu.view.live.ring import Ring
from deephtm_gpu.view.live.scene import Scene

USAGE = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_DST  # of a texture that is drawn into
_APART = 256  # bytes from record to record: every device allows this as a dynamic offset
_OVER = {"color": {"src_factor": "src-alpha", "dst_factor": "one-minus-src-alpha"},
         "alpha": {"src_factor": "one", "dst_factor": "one-minus-src-alpha"}}


class Painter:
    """format: of the texture that is drawn into, "rgba8unorm" or "bgra8unorm"."""

    def __init__(self, device, ring: Ring, format: str = "rgba8unorm"):
        self._device, self._ring, self._format = device, ring, format
        self._seen = 0  # rows of the ring that are on the device
        usage = wgpu.BufferUsage.COPY_DST
        self._rows = device.create_buffer(
            size=4 * (ring.rows.size + max(4, ring.still.size)), usage=usage | wgpu.BufferUsage.STORAGE
        )
        self._now = device.create_buffer(size=16, usage=usage | wgpu.BufferUsage.UNIFORM)
        self._write_all()
        self._scene = None

    def _write_all(self):
        self._device.queue.write_buffer(self._rows, 0, self._ring.rows)

    def show(self, scene: Scene):
        """Uploads the page and the layers of a scene."""
        if self._scene is None or (scene.width, scene.height) != (self._scene.width, self._scene.height):
            self._page = self._device.create_texture(
                size=(scene.width, scene.height),
                format=self._format,
                usage=wgpu.TextureUsage.COPY_SRC | wgpu.TextureUsage.COPY_DST,
            )
        self._scene = scene
        self._put(scene.page, 0, 0)
        layers = layers_of(scene, self._ring)
        records = np.zeros((len(layers), _APART), np.uint8)
        for record, layer in zip(records, layers):
            record[: RECORD.itemsize] = layer.record.view(np.uint8)
        self._records = self._device.create_buffer_with_data(data=records, usage=wgpu.BufferUsage.UNIFORM)
        group = self._device.create_bind_group(layout=self._group_layout, entries=[
            {"binding": 0, "resource": {"buffer": self._rows}},
            {"binding": 1, "resource": {"buffer": self._records, "offset": 0, "size": RECORD.itemsize}},
            {"binding": 2, "resource": {"buffer": self._now}},
        ])
        bundle = self._device.create_render_bundle_encoder(color_formats=[self._format])  # recorded once for all frames
        for n, layer in enumerate(layers):
            bundle.set_pipeline(self._pipelines[layer.pipeline])
            bundle.set_bind_group(0, group, [n * _APART])
            bundle.draw(6 * layer.count)
        self._bundle = bundle.finish()

    def set_status(self, text: str):
        """Writes the line at the top right."""
        self._put(self._scene.paint_status(text), self._scene.status.left, self._scene.status.top)

    def draw(self, texture):
        """Uploads the new rows, and records the drawing of all rows into the texture. Returns the argument of
        `submit`."""
        self._upload()
        encoder = self._device.create_command_encoder()
        # The page is copied: on a software adapter a shader over all pixels would cost as much as the data.
        encoder.copy_texture_to_texture({"texture": self._page}, {"texture": texture}, self._page.size)
        run = encoder.begin_render_pass(
            color_attachments=[{"view": texture.create_view(), "load_op": "load", "store_op": "store"}]
        )
        run.execute_bundles([self._bundle])
        run.end()
        return encoder.finish()

    def submit(self, drawing):
        """On a software adapter this can take as long as the drawing."""
        self._device.queue.submit([drawing])

    def picture(self) -> np.ndarray:
        """The picture, drawn into a texture of its own and read back: (height, width, 4) uint8, RGBA."""
        usage = USAGE | wgpu.TextureUsage.COPY_SRC
        width, height = self._scene.width, self._scene.height
        texture = self._device.create_texture(size=(width, height), format=self._format, usage=usage)
        self.submit(self.draw(texture))
        layout = {"bytes_per_row": 4 * width, "rows_per_image": height}
        raw = self._device.queue.read_texture({"texture": texture}, layout, (width, height, 1))
        image = np.frombuffer(raw, np.uint8).reshape(height, width, 4)
        return self._ordered(image)

    def _upload(self):
        ring, stride = self._ring, self._ring.fields.stride
        for row, rows in ring.since(self._seen):
            self._device.queue.write_buffer(self._rows, 4 * stride * row, np.ascontiguousarray(rows))
        if ring.still.size:
            self._device.queue.write_buffer(self._rows, 4 * ring.rows.size, ring.still)
        self._seen = ring.count
        self._device.queue.write_buffer(self._now, 0, np.array([max(ring.newest, 0), ring.count, 0, 0], np.uint32))

    def _put(self, image, left, top):
        """image (height, width, 4) uint8 into the page."""
        height, width, _ = image.shape
        image = self._ordered(image)
        self._device.queue.write_texture(
            {"texture": self._page, "mip_level": 0, "origin": (left, top, 0)},
            np.ascontiguousarray(image),
            {"offset": 0, "bytes_per_row": 4 * width, "rows_per_image": height},
            (width, height, 1),
        )

    def _ordered(self, image):
        """Converts between red, green, blue and the texture's own order."""
        return image[:, :, [2, 1, 0, 3]] if self._format.startswith("bgra") else image

    @cached_property
    def _group_layout(self):
        both = wgpu.ShaderStage.VERTEX | wgpu.ShaderStage.FRAGMENT
        return self._device.create_bind_group_layout(
            entries=[
                {"binding": 0, "visibility": both, "buffer": {"type": "read-only-storage"}},
                {
                    "binding": 1,
                    "visibility": both,
                    "buffer": {"type": "uniform", "has_dynamic_offset": True, "min_binding_size": RECORD.itemsize},
                },
                {"binding": 2, "visibility": both, "buffer": {"type": "uniform"}},
            ]
        )

    @cached_property
    def _pipelines(self):
        layout = self._device.create_pipeline_layout(bind_group_layouts=[self._group_layout])
        module = self._device.create_shader_module(
            code=(shader_folder() / "view" / "picture.wgsl").read_text(encoding="utf-8")
        )
        return {
            name: self._device.create_render_pipeline(
                layout=layout, primitive={"topology": "triangle-list"},
                vertex={"module": module, "entry_point": f"{name}_corner"},
                fragment={"module": module, "entry_point": f"{name}_colour",
                          "targets": [{"format": self._format, "blend": _OVER}]})
            for name in ("line", "mark", "cell")
        }
