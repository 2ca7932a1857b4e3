"""What `--json FILE` writes."""

import json
from pathlib import Path

from deephtm_gpu.errors import UserError


def check_json(path):
    """Looks at the folder before anything is measured. path: None where no file was asked for. Raises UserError."""
    if path is not None and not Path(path).absolute().parent.is_dir():
        raise UserError(f"--json {path} cannot be written (there is no such folder); name a file in a folder that can be written to.")


def write_json(path, content):
    """Writes the file whole or not at all. Raises UserError where it cannot be written."""
    from deephtm_gpu.files import write_whole

    check_json(path)
    try:
        write_whole(path, (json.dumps(content, indent=1, default=float) + "\n").encode())
    except ValueError as error:
        raise UserError(f"--json {path} cannot be written ({error}); name a file in a folder that can be written to.") from None
