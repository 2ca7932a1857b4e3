"""Pictures as files."""

import io

from deephtm_gpu.files import make_folder, write_whole
from deephtm_gpu.view.style import style

__all__ = ["make_folder", "save_figure", "write_whole"]


def save_figure(figure, path):
    """Writes a matplotlib Figure as PNG, creating the folder. Raises UserError where it cannot be written."""
    image = io.BytesIO()
    with style():
        figure.savefig(image, format="png")
    write_whole(path, image.getvalue())
