"""The parts of a live picture, independent of how it is drawn."""

from dataclasses import dataclass

from deephtm_gpu.errors import UserError
from deephtm_gpu.view.live.block import Block
from deephtm_gpu.view.live.ring import Fields, Ring
from deephtm_gpu.view.live.tracks.base import Track


@dataclass(frozen=True)
class Spec:
    """The parts of a live picture.

    Parameters
    ----------
    title : str
        Of the picture.
    tracks : tuple of Track
        One below the other, at least one.
    blocks : tuple of Block
        At the side, from left to right and from top to bottom, in a grid of `across` columns.
    steps : int, default 300
        How many steps are shown at once.
    time : str, default "steps"
        Their name.
    blocks_title : str
        Above the blocks.
    across : int, default 2
        Columns of the grid of blocks.
    side : int, default 300
        Width of that grid, in hundredths of an inch.
    dreams : bool, default False
        Whether the key g lets the show dream.

    Raises
    ------
    UserError
        If there is no track, two tracks have the same name, or a block spans more columns than the grid has.
    """

    title: str
    tracks: tuple[Track, ...]
    blocks: tuple[Block, ...] = ()
    steps: int = 300
    time: str = "steps"
    blocks_title: str = ""
    across: int = 2
    side: int = 300
    dreams: bool = False

    def __post_init__(self):
        if not self.tracks:
            raise UserError(f"The live picture {self.title!r} must have a track or more, got none; give it one, such "
                            "as a Line.")
        names = [track.name for track in self.tracks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UserError(f"The tracks of the live picture {self.title!r} must have different names, got several "
                            f"named {twice[0]!r}; rename all but one.")
        wide = [block for block in self.blocks if not 1 <= block.span <= self.across]
        if wide:
            raise UserError(f"The block {wide[0].title!r} must span 1 to {self.across} columns of the grid, got "
                            f"{wide[0].span}.")

    @property
    def fields(self) -> Fields:
        """The numbers of its tracks, for each step."""
        return Fields.of(**{name: width for track in self.tracks for name, width in track.fields.items()})

    @property
    def lines(self) -> dict[str, float]:
        """The trivial predictors of all tracks, by name."""
        return {name: value for track in self.tracks for name, value in track.lines.items()}

    def ring(self) -> Ring:
        """An empty Ring for its fields and blocks."""
        return Ring(self.fields, self.steps, [(block.tall, block.wide) for block in self.blocks])
