"""Files that are there whole or not at all."""

import io
import os
import tempfile
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
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as beside:
            try:
                beside.write(content)
                beside.close()
                os.chmod(beside.name, 0o644)  # temporary files are made readable for their owner alone
                os.replace(beside.name, path)
            except BaseException:
                os.unlink(beside.name)
                raise
    except OSError as error:
        raise UserError(f"{path} was to be written, but {error.strerror or error}; choose another place or make room there.") from error


def make_folder(folder):
    """Creates the folder where there is none and returns it as a Path. Raises UserError where that cannot be."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The folder {folder} was to be created, but {error.strerror or error}; choose another one.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"Files were to be written to the folder {folder}, which is not writable; choose another one.")
    return folder
