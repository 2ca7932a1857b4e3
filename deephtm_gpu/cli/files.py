"""The file of `--json FILE`."""

import json
from pathlib import Path

from deephtm_gpu.errors import UserError


def check_json(path):
    """Checks the folder before anything is measured. path: None without --json. Raises UserError."""
    if path is not None and not Path(path).absolute().parent.is_dir():
        raise UserError(f"--json {path} cannot be written (there is no such folder); name a file in a writable folder.")


def write_json(path, content):
    """Writes the file atomically. Raises UserError if it cannot be written."""
    from deephtm_gpu.files import write_whole

    check_json(path)
    try:
        write_whole(path, (json.dumps(content, indent=1, default=float) + "\n").encode())
    except ValueError as error:
        raise UserError(f"--json {path} cannot be written ({error}); name a file in a writable folder.") from None
