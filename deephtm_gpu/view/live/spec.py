"""What a live picture shows, whatever draws it."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Spec:
    """title: of the picture. columns, winners, cells: C, K, M of the memory that is watched. steps: shown at once; time: what they are called.
    value: label of the series; limits: its axis (low, high). names: of the classes, for a stream of symbols instead of a series.
    error: label; error_limits; error_log: a logarithmic axis. lines: the trivial predictors' error by name, drawn as lines.
    blocks: titles of the pictures beside, one of the winners' cells (K, M) each."""

    title: str
    columns: int
    winners: int
    cells: int
    steps: int = 300
    time: str = "steps"
    value: str = "value"
    limits: tuple[float, float] = (-1.0, 1.0)
    names: tuple[str, ...] = ()
    error: str = "|error|"
    error_limits: tuple[float, float] = (1e-4, 3.0)
    error_log: bool = True
    lines: dict[str, float] = field(default_factory=dict)
    blocks: tuple[str, ...] = ()
    blocks_title: str = ""
