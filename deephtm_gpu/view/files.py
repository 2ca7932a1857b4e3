"""Figures as files."""

import io

from deephtm_gpu.files import make_folder, write_whole
from deephtm_gpu.view.style import style

__all__ = ["make_folder", "save_figure", "write_whole"]


def save_figure(figure, path) -> None:
    """Write a matplotlib Figure as a PNG file, creating its folder.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    path : str or Path
        The file.

    Raises
    ------
    UserError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import deephtm_gpu as dh
    >>> from deephtm_gpu import view
    >>> model = dh.Model(dh.Sequential(dh.Linear(4), dh.ReLU()), input_shape=(2,), device="numpy")
    >>> view.save_figure(view.network_figure(model), f"{tempfile.mkdtemp()}/network.png")
    """
    image = io.BytesIO()
    with style():
        figure.savefig(image, format="png")
    write_whole(path, image.getvalue())
