"""What the files of `deephtm run` of many files are called: rows under the input's name, models beside one another."""

from pathlib import Path

from deephtm_gpu.errors import UserError
from deephtm_gpu.saving.container import check_target

SUFFIX = ".model"


def model_of(name) -> str:
    """The name of its model."""
    return Path(name).stem + SUFFIX


def names_of(args) -> list[str]:
    """The names of the output files, in the order of the files. Raises UserError if two outputs, or an output and an
    input, collide."""
    if len(args.column) > 1:
        raise UserError(f"--column must be given once with several files, got {len(args.column)} columns and "
                        f"{len(args.files)} files; learn each file in a run of its own.")
    if "-" in args.files:
        raise UserError("The standard input cannot be one of several files; learn it alone: deephtm run - --column C.")
    _check_folders(args)
    names = [Path(path).name for path in args.files]
    stems: dict[str, str] = {}
    for path, name in zip(args.files, names):
        if (stem := Path(name).stem) in stems:
            raise UserError(f"{stems[stem]} and {path} would both be written to {stem!r} in {args.out}; give the files "
                            "different names.")
        stems[stem] = path
        if args.save is not None:
            check_target(Path(args.save) / (stem + SUFFIX))
    _check_apart(args, names, stems)
    return names


def _check_folders(args):
    for option, folder in (("--out", args.out), ("--save", args.save), ("--resume", args.resume)):
        if folder is None and option != "--out":
            continue
        if not folder or not Path(folder).is_dir():
            got = f"{folder}, which is no folder" if folder else "nothing"
            raise UserError(f"{option} must be an existing folder with {len(args.files)} files, got {got}; give "
                            f"{option} FOLDER.")


def _check_apart(args, names, stems):
    """Raises UserError if an output would overwrite an input or another output."""
    taken = {Path(path).resolve(): f"the file {path}" for path in args.files}
    written = [(Path(args.out) / name, "the rows of") for name in names]
    written += [(Path(args.save) / (stem + SUFFIX), "the model of") for stem in stems] if args.save is not None else []
    for path, what in written:
        if (owner := taken.get(path.resolve())) is not None:
            raise UserError(f"{what.capitalize()} {path.stem!r} would be written over {owner}; name another folder.")
        taken[path.resolve()] = f"{what} {path.stem!r}"
