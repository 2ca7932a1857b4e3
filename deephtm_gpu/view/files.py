"""Files that are there whole or not at all."""

import io
import os
from pathlib import Path

from deephtm_gpu.errors import UserError
from deephtm_gpu.view.style import style


def save_figure(figure, path):
    """Writes a matplotlib Figure as PNG, creating the folder. Raises UserError where it cannot be written."""
    image = io.BytesIO()
    with style():
        figure.savefig(image, format="png")
    write_whole(path, image.getvalue())


def write_whole(path, content):
    """Writes bytes to path by way of a file beside it that takes its place at the end, creating the folder.

    Raises UserError where it cannot be written; what lay at path before is then unharmed.
    """
    path = make_folder(Path(path).parent) / Path(path).name
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            beside.write_bytes(content)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)  # there only if something went wrong
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"{path} was to be written, but: {why}. Choose another folder, or make room there.") from error


def make_folder(folder):
    """Creates the folder where there is none and returns it as a Path. Raises UserError where that cannot be."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"The folder {folder} was to be created, but: {why}. Choose another one.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"Files were to be written to the folder {folder}, which is not writable; choose another one.")
    return folder
