"""The file: safetensors, with a JSON text among its metadata.

The text holds the number of the format, a checksum over all the rest, and what the writer has to say. Nothing in it is
ever run.
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from deephtm_gpu.arguments import shown
from deephtm_gpu.errors import UserError
from deephtm_gpu.files import write_whole

FORMAT = 2  # counted up whenever older readers would misunderstand a file
KEY = "deephtm_gpu"  # of the text among the metadata


def write_container(path, description: dict, arrays: dict[str, np.ndarray]):
    """Writes the file whole or not at all. Raises UserError where it cannot be written."""
    path = check_target(path)
    text = json.dumps(description)
    whole = json.dumps({"format": FORMAT, "checksum": _checksum(text, arrays), "description": text})
    write_whole(path, save(arrays, metadata={KEY: whole}))


def check_target(path) -> Path:
    """The file that is to be written, links followed. Raises UserError where it cannot be."""
    path = Path(_text(path, "written")).resolve()
    if path.is_dir():
        raise UserError(f"{path} must be a file to save a model, got a folder; name a file in it.")
    if path.exists() and not path.is_file():
        raise UserError(f"{path} must be a file to save a model, got a pipe or a device; name an ordinary file.")
    if not path.parent.is_dir():
        raise UserError(f"{path} cannot be written (there is no folder {path.parent}); create it, or name another one.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UserError(f"{path} cannot be written (its folder is not writable); name another one.")
    return path


def read_container(path) -> tuple[dict, dict[str, np.ndarray]]:
    """The description and the arrays. Raises UserError where there is no such file, or it is not as `write_container`
    left it."""
    path = Path(_text(path, "read"))
    if path.is_dir():
        raise UserError(f"{path} must be a model's file, got a folder; name a file in it.")
    if not path.exists():
        raise UserError(f"{path} must be a model's file, got a path without a file; check it.")
    if not path.is_file():
        raise UserError(f"{path} must be a model's file, got a pipe or a device; name an ordinary file.")
    metadata, arrays = _open(path)
    try:
        whole = json.loads(metadata[KEY])
        version, checksum, text = whole["format"], whole.get("checksum"), whole.get("description")
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        raise UserError(f"{path} must be a model of deephtm_gpu, got another safetensors file; name one that "
                        "model.save(path) wrote.") from None
    if version != FORMAT:
        raise UserError(
            f"{path} must be in format {FORMAT}, which this version of deephtm_gpu reads, got format {shown(version)}; "
            "use the version that wrote it, or save the model again with this one."
        )
    if not isinstance(text, str) or checksum != _checksum(text, arrays):
        raise UserError(f"{path} is damaged (its checksum does not match its content); use another copy of it.")
    try:
        return json.loads(text), arrays
    except (ValueError, RecursionError):
        raise UserError(f"{path} must describe a model, got another description; name a file that "
                        "model.save(path) wrote.") from None


def _open(path) -> tuple[dict, dict[str, np.ndarray]]:
    try:
        open(path, "rb").close()  # safetensors would not say why it cannot
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); check the file and "
                        "its permissions.") from None
    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
    # last: types NumPy lacks
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{path} must be a safetensors file, got another, incomplete or damaged file ({error}); use "
                        "another copy of it.") from None


def _text(given, what) -> str:
    path = os.fspath(given) if isinstance(given, (str, os.PathLike)) else None
    if not isinstance(path, str) or not path or "\0" in path:
        raise UserError(f"path must be the name of a file, got {shown(given)}: a model cannot be {what} there; give "
                        "a name.")
    return path


def _checksum(text, arrays) -> str:
    """Of the text and of every array's name, type, shape and bytes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"\n{name} {array.dtype.str} {arrays[name].shape}\n".encode())
        digest.update(array.data if array.size else b"")
    return digest.hexdigest()
