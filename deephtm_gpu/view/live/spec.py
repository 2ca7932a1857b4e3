"""What a live picture shows, whatever draws it."""

from dataclasses import dataclass

from deephtm_gpu.errors import UserError
from deephtm_gpu.view.live.block import Block
from deephtm_gpu.view.live.ring import Fields, Ring
from deephtm_gpu.view.live.tracks.base import Track


@dataclass(frozen=True)
class Spec:
    """title: of the picture. tracks: one under the other, at least one. blocks: at the side, from the left and from above, in a grid of `across`
    columns; blocks_title: over them. steps: shown at once; time: what they are called. Raises UserError where two tracks have one name,
    there is none, or a block spans more columns than the grid has."""

    title: str
    tracks: tuple[Track, ...]
    blocks: tuple[Block, ...] = ()
    steps: int = 300
    time: str = "steps"
    blocks_title: str = ""
    across: int = 2

    def __post_init__(self):
        if not self.tracks:
            raise UserError(f"The live picture {self.title!r} has no track: give it one at least, such as a Line.")
        names = [track.name for track in self.tracks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UserError(f"The live picture {self.title!r} has several tracks of the name {twice[0]!r}: give each a name of its own.")

        wide = [block for block in self.blocks if not 1 <= block.span <= self.across]
        if wide:
            raise UserError(f"The block {wide[0].title!r} of the live picture spans {wide[0].span} columns of a grid of {self.across}: give 1 to {self.across}.")

    @property
    def fields(self) -> Fields:
        """What its tracks show of each step."""
        return Fields.of(**{name: width for track in self.tracks for name, width in track.fields.items()})

    @property
    def lines(self) -> dict[str, float]:
        """The trivial predictors of all tracks, by name."""
        return {name: value for track in self.tracks for name, value in track.lines.items()}

    def ring(self) -> Ring:
        """An empty one, for what it shows."""
        return Ring(self.fields, self.steps, [(block.tall, block.wide) for block in self.blocks])
