"""The two themes of the live picture. Colours mean the same everywhere: blue is predicted, orange is unexpected."""

from dataclasses import dataclass

from deephtm_gpu.view import style


@dataclass(frozen=True)
class Theme:
    """Colours as "#rrggbb". page, panel, grid, ink and grey are of the page, the others of the data."""

    name: str
    page: str
    panel: str
    grid: str
    ink: str
    grey: str
    truth: str
    prediction: str
    error: str
    expected: str
    unexpected: str
    lines: tuple[str, ...]  # of the trivial predictors


DARK = Theme(
    "dark",
    page="#11141B",
    panel="#171B24",
    grid="#252B38",
    ink="#E8ECF4",
    grey="#8D96A8",
    truth="#76839B",
    prediction="#58B0FF",
    error="#E8ECF4",
    expected="#3D9BF0",
    unexpected="#FF8A4C",
    lines=("#FFC857", "#D79BFF"),
)
LIGHT = Theme(
    "light",
    page="#FFFFFF",
    panel="#FAFBFC",
    grid="#E9ECF0",
    ink=style.INK,
    grey=style.GREY,
    truth="#B9BEC7",
    prediction=style.BLUE,
    error="#39414F",
    expected="#0F7FC0",
    unexpected=style.ORANGE,
    lines=("#B07800", style.PURPLE),
)
THEMES = {theme.name: theme for theme in (DARK, LIGHT)}


def rgba(colour, opacity=1.0):
    """ "#rrggbb" -> (red, green, blue, opacity), 0..1 each."""
    return (*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)), opacity)
