"""What a live picture shows, whatever draws it."""

from dataclasses import dataclass

from deephtm_gpu.errors import UserError
from deephtm_gpu.view.live.block import Block
from deephtm_gpu.view.live.ring import Fields, Ring
from deephtm_gpu.view.live.tracks.base import Track


@dataclass(frozen=True)
class Spec:
    """title: of the picture. tracks: one under the other. blocks: at the side, from the left and from above, in a grid of `across`
    columns; blocks_title: over them. steps: shown at once; time: what they are called. Raises UserError where two tracks have one name."""

    title: str
    tracks: tuple[Track, ...] = ()
    blocks: tuple[Block, ...] = ()
    steps: int = 300
    time: str = "steps"
    blocks_title: str = ""
    across: int = 2

    def __post_init__(self):
        names = [track.name for track in self.tracks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UserError(f"The live picture {self.title!r} has several tracks of the name {twice[0]!r}: give each a name of its own.")

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
