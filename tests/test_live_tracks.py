"""Live pictures of tracks and blocks of all kinds: marks stand where the data are, texts beside each other; several
levels; and a show that is no model of a stream."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
from test_live import heights, like

import deephtm_gpu as dh
from deephtm_gpu import view
from deephtm_gpu.backends.devices import DeviceInfo
from deephtm_gpu.cli import demo
from deephtm_gpu.cli.main import main
from deephtm_gpu.data.objects import objects
from deephtm_gpu.data.words import words
from deephtm_gpu.errors import UserError
from deephtm_gpu.view.live import MARK, Block, Show, Spec
from deephtm_gpu.view.live.levels import levels_of
from deephtm_gpu.view.live.look import DARK, THEMES
from deephtm_gpu.view.live.plain import PlainPainter
from deephtm_gpu.view.live.scene import SMALLEST, Scene
from deephtm_gpu.view.live.tracks import Bars, Cells, Classes, Columns, Line, Series

STEPS, OBJECTS, MODULES = 50, 100, 10
FEATURES = ("edge", "corner", "flat", "point")
EXPLORING = Spec(
    "A column explores objects with one finger, touch after touch",
    (
        Classes(FEATURES, "Features", name="feature", probability="feature likely", came="feature came"),
        Line("active", "Active hypotheses", (0.5, 2000), lines={"all": 1600}),
        Classes(OBJECTS, "Which of 100 objects", name="object", probability="object likely", came=None),
        Bars("surprise", "Surprise"),
    ),
    (
        *(Block("Ten grid modules" if n == 0 else "", 5, 5) for n in range(MODULES)),
        Block("Places", 4, 4, "and its finger", span=3),
        Block("Wide", 6, 2, span=5),
    ),
    steps=STEPS,
    time="touches",
    blocks_title="Where it is",
    across=5,
)
LEVELS = Spec(
    "A text, letter by letter, in two levels of memory",
    (
        Classes(tuple("abcdefghijklmnop,."), weight=3.0),
        Line("error", "1 − probability of the right ending, at the last query", (0, 1.05), log=False),
        Bars(),
        Columns(512, 10, "Level 1"),
        Cells(10, 5, "Level 1"),
        Columns(128, 6, "Level 2", "2"),
        Cells(6, 4, "Level 2", "2"),
    ),
    tuple(Block(f"{letter} in A B C D", 10, 5, square=False) for letter in "ABCD"),
    blocks_title="The same columns, other cells",
)
SERIES = Spec(
    "A series",
    (
        Series("passengers in half an hour", (0, 32_000)),
        Line(
            "error",
            "|error|, and the mean of trivial forecasts",
            (10, 3e4),
            lines={"persistence": 4863, "same slot last week": 1524},
        ),
        Bars(),
        Columns(256, 20),
        Cells(20, 5),
    ),
)


def explored():
    """Feature 2 is half likely and 1 came; 100 hypotheses live; object 70 is likely; a place is marked in each block,
    and beside it one is lit."""
    ring = EXPLORING.ring()
    ring.push(
        ring.fields.pack(
            STEPS,
            **{
                "feature likely": np.tile([0, 0, 1.0, 0], (STEPS, 1)),
                "feature came": np.ones(STEPS),
                "active": np.full(STEPS, 100),
                "object likely": np.tile(np.eye(OBJECTS)[70], (STEPS, 1)),
                "surprise": np.full(STEPS, 0.5),
            },
        )
    )
    for block in ring.blocks:
        block[1, 2] = MARK
        block[0, 3] = 1
    ring.blocks[MODULES][2, 1] = 1 + MARK
    return ring


@pytest.fixture(params=["shaders", "matplotlib"])
def painter(request, adapter):
    if request.param == "matplotlib":
        return PlainPainter(explored())
    from deephtm_gpu.view.live.paint import Painter

    return Painter(adapter.native.request_device_sync(), explored())


def rows(image, panel, colour):
    """Parts of the panel's height, from the bottom, at which most of its middle is of the colour: the lowest and the
    highest."""
    cut = like(image, colour)[panel.top : panel.bottom, panel.left + panel.width // 4 : panel.right - panel.width // 4]
    found = np.flatnonzero(cut.mean(axis=1) > 0.4)
    assert len(found), "nowhere"
    return (panel.height - 1 - found[-1]) / panel.height, (panel.height - found[0]) / panel.height


@pytest.mark.parametrize("theme", THEMES.values(), ids=list(THEMES))
@pytest.mark.parametrize("size", [(1280, 800), (700, 480)], ids=str)
def test_marks_stand_where_the_data_are(painter, size, theme):
    shown = Scene(EXPLORING, *size, 1.0, theme)
    painter.show(shown)
    image, panels = painter.picture()[:, :, :3].astype(int), shown.panels
    near = pytest.approx
    assert rows(image, panels["feature"], theme.prediction) == near((0.5, 0.75), abs=0.06)
    assert np.mean(rows(image, panels["feature"], theme.ink)) == near(1.5 / 4, abs=0.03)
    assert near(np.log(100 / 0.5) / np.log(4000), abs=0.04) in heights(image, panels["active"], theme.error)
    assert heights(image, panels["object"], theme.prediction) == near([70.5 / OBJECTS], abs=0.02)
    blue, ink = like(image, theme.expected), like(image, theme.ink)
    for n, (block, panel) in enumerate(zip(EXPLORING.blocks, shown.blocks)):
        wide, tall = panel.width / block.wide, panel.height / block.tall
        assert wide == near(tall, rel=0.1), "its places are no squares"
        for x, y in itertools.product(range(block.wide), range(block.tall)):
            at = int(panel.bottom - (y + 0.5) * tall), int(panel.left + (x + 0.5) * wide)
            # Beside the mark, inside the place.
            corner = int(panel.bottom - (y + 0.2) * tall), int(panel.left + (x + 0.2) * wide)
            marked, lit = (
                (x, y) == (2, 1) or (n == MODULES and (x, y) == (1, 2)),
                (x, y) == (3, 0) or (n == MODULES and (x, y) == (1, 2)),
            )
            assert ink[at] == marked and blue[at] == (lit and not marked), (n, x, y)
            if wide > 12:
                assert blue[corner] == lit, (n, x, y)


@pytest.mark.parametrize("steps", [1, 7])
def test_nothing_is_drawn_outside_of_the_steps_there_are(adapter, steps):
    from deephtm_gpu.view.live.paint import Painter

    ring = EXPLORING.ring()
    ring.push(explored().rows[:steps])
    shown = Scene(EXPLORING, 1280, 800, 1.0, DARK)
    painter = Painter(adapter.native.request_device_sync(), ring)
    painter.show(shown)
    image, panel = painter.picture()[:, :, :3].astype(int), shown.panels["object"]
    blue = like(image, DARK.prediction)[panel.top : panel.bottom, panel.left : panel.right].any(axis=0)
    assert panel.width - np.flatnonzero(blue)[0] == pytest.approx(steps * panel.width / STEPS, abs=2) and blue[-3]


@pytest.mark.parametrize("spec", [EXPLORING, LEVELS, SERIES], ids=lambda spec: spec.title)
@pytest.mark.parametrize(
    "size, scale", [((1280, 800), 1.0), (SMALLEST, 1.0), ((900, 620), 1.0), ((1920, 1200), 2.0)], ids=str
)
def test_no_text_lies_over_another(spec, size, scale):
    boxes = []

    def collect(tracks, blocks):
        figure = tracks[0].figure
        renderer = figure.canvas.get_renderer()
        figure.canvas.draw()
        drawn = [tick for axes in tracks for axis in (axes.xaxis, axes.yaxis) for tick in axis.get_major_ticks()
                 if min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())]
        labels = [tick.label1 for tick in drawn]
        seen = [text for text in (*figure.texts, *labels) if text.get_visible() and text.get_text()]
        boxes.extend((text.get_text(), text.get_window_extent(renderer)) for text in seen)

    shown = Scene(spec, *size, scale, DARK)
    shown.paint(collect)
    assert len(boxes) > 12
    for (a, one), (b, other) in itertools.combinations(boxes, 2):
        # Letters take three quarters of the height that their line does.
        wide, tall = (
            min(getattr(one, f"{e}1"), getattr(other, f"{e}1")) - max(getattr(one, f"{e}0"), getattr(other, f"{e}0"))
            for e in "xy"
        )
        assert wide <= 1 or tall <= 0.25 * min(one.height, other.height) + 1, (a, b)
    title = next(box for text, box in boxes if text.startswith(spec.title[:6]))
    assert title.x1 <= shown.status.left


def test_blocks_stand_beside_each_other_inside_the_page():
    for size in ((1280, 800), SMALLEST):
        shown = Scene(EXPLORING, *size, 1.0, DARK)
        tracks = max(panel.right for panel in shown.panels.values())
        assert all(tracks < b.left < b.right <= size[0] and 0 < b.top < b.bottom < size[1] for b in shown.blocks)
        for a, b in itertools.combinations(shown.blocks, 2):
            assert a.right < b.left or b.right < a.left or a.bottom < b.top or b.bottom < a.top


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"tracks": (Bars(), Bars())}, "different names, got several named 'anomaly'"),
        ({"tracks": ()}, "must have a track or more"),
        ({"blocks": (Block("far", 2, 2, span=3),)}, "must span 1 to 2 columns of the grid, got 3"),
        ({"blocks": (Block("no", 2, 2, span=0),)}, "must span 1 to 2 .*got 0"),
    ],
)
def test_pictures_that_cannot_be_are_refused(wrong, words):
    with pytest.raises(UserError, match=words):
        Spec("t", **{"tracks": (Bars(),)} | wrong)


# Several levels


def two_levels(text):
    x, end = dh.Input((16,)), dh.Input((1,))
    first = dh.TemporalMemory(5)(dh.SpatialPooler(64, 6)(dh.RunningNorm()(dh.Linear(32)(x))))
    second = dh.TemporalMemory(3)(dh.SpatialPooler(48, 4)(dh.when(end, first)))
    heads = [dh.Linear(text.task.classes)(first), dh.Linear(text.task.classes)(second)]
    return dh.Model(dh.Network([x, end], heads), loss="cross_entropy", optimizer=dh.Adam(1e-3), seed=1, device="numpy")


def test_a_show_of_two_levels_tells_what_one_fit_tells():
    text = words(between=1, steps=60, seed=1)
    task = text.task
    model = two_levels(text)

    def learn(begin, end):
        history = model.fit([task.inputs[begin:end], text.ends[begin:end]], targets=[task.targets[begin:end]] * 2)
        return history.prediction[0], history

    show = view.SymbolShow(model, task, "t", learn=learn, levels=("Letters", "Words"))
    kept = show.ring()
    while show.advance(7, kept):
        pass
    same = two_levels(text)
    same.observe()
    history = same.fit([task.inputs, text.ends], targets=[task.targets] * 2)
    assert np.array_equal(show.prediction, history.prediction[0])
    assert list(show.spec.fields.offsets)[-4:] == ["winners2", "predicted2", "cells2", "alike2"]
    assert [track.title for track in show.spec.tracks][3:] == [
        "Letters, winning columns: 6 of 64",
        "Letters, their cells: 5 a column",
        "Words, winning columns: 4 of 48",
        "Words, their cells: 3 a column",
    ]
    winners = [found["winners"] for found in history.observed.values() if "winners" in found]
    for suffix, wanted in zip(("", "2"), winners):
        assert np.array_equal(kept.last(60, "winners" + suffix), np.sort(wanted, axis=1))
    shares = kept.last(60, "cells2").reshape(60, 4, 3).sum(axis=2)
    ticked = np.cumsum(text.ends[:, 0]) > 0
    assert np.allclose(shares[ticked][1:], 1, atol=1e-5) and not shares[~ticked].any() and (~ticked).any()


def test_a_memory_is_shown_with_the_pooler_that_it_reads():
    x = dh.Input((5,))
    idle, first = dh.SpatialPooler(40, 7)(x), dh.SpatialPooler(30, 4)(x)
    memory = dh.TemporalMemory(2)(first)
    model = dh.Model(dh.Network(x, dh.Concat()([dh.Linear(2)(idle), dh.Linear(3)(memory)])), device="numpy")
    names = model.network.names()
    found, = levels_of(model)
    assert (found.pooler, found.memory, found.columns, found.winners, found.cells) == (
        names[first],
        names[memory],
        30,
        4,
        2,
    )


def test_more_levels_than_there_are_is_a_mistake():
    text = words(between=1, steps=20)
    with pytest.raises(UserError, match="levels must be at most 2, .*got 3"):
        view.SymbolShow(two_levels(text), text.task, "t", levels=("a", "b", "c"))


# A show that is no model of a stream


class Exploring(Show):
    """The minimal interface of a show for `deephtm demo`."""

    spec = EXPLORING

    def __init__(self, steps):
        model = SimpleNamespace(
            layers=lambda: [SimpleNamespace(repr="A column")],
            device=DeviceInfo("NumPy", "numpy", "software"),
            reset=lambda: None,
        )
        super().__init__(model, steps)

    def _learn(self, begin, end):
        self.blocks[0][1, 1] = end / self.total
        return {name: np.full((end - begin, width), 0.3) for name, (_, width) in self.spec.fields.offsets.items()}


@pytest.mark.parametrize("how", ["--headless", "--record"])
def test_a_show_without_a_memory_is_a_demo_too(tmp_path, monkeypatch, capsys, how):
    monkeypatch.setitem(demo.DEMOS, "exploring", "a column and objects")
    monkeypatch.setattr(
        demo,
        "_load",
        lambda name: {
            "demo": lambda steps=70, seed=0, device="auto": Exploring(steps),
            "report": lambda show: {"done": show.done, "shown": {"Touches": show.done}},
        },
    )
    assert main(["demo", "exploring", how, "--out", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "exploring.json").read_text())
    assert (
        report["network"] == ["A column"]
        and report["done"] == report["steps"] == 70
        and report["baselines"] == {"all": 1600}
    )
    assert (tmp_path / "exploring.png").exists() and (tmp_path / "exploring.webp").exists() == (how == "--record")
    assert "Touches: 70" in capsys.readouterr().out


def test_a_show_returns_how_many_steps_it_learned():
    show = Exploring(10)
    kept = show.ring()
    assert [show.advance(4, kept) for _ in range(4)] == [4, 4, 2, 0] and kept.count == show.done == 10
    assert kept.blocks[0][1, 1] == 1


# A show of a column that touches objects


def touching(column=None, task=None, **options):
    task = objects(3, features=4, points=5, side=3) if task is None else task
    column = dh.SensorimotorColumn(4, 3, device="numpy") if column is None else column
    return view.ObjectsShow(column, task, "t", **{"total": 40, "exposures": 1, "touches": 3} | options)


def test_a_column_is_shown_while_it_learns_and_recognises():
    show = touching(total=15 + 4)
    kept = show.ring()
    while show.advance(6, kept):
        pass
    assert len(show.explored) == len(show.recognised) == 1 and kept.count == 19
    share = kept.last(4, "likely")  # (4, O)
    show.column.begin()
    posterior = dict(zip(show.column.objects, show.column.sense(int(show._explorations[1].features[0])).posterior))
    np.testing.assert_allclose(share[-1], [posterior[o] for o in range(3)], rtol=1e-5)
    assert all(block.max() > 0 for block in kept.blocks)


def knowing():
    column = dh.SensorimotorColumn(4, 4, device="numpy")
    column.learn("cup", [[0, 0]], [0])
    return column


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda: dict(touches=0), "touches must be .*got 0"),
        (lambda: dict(touches=6), "must be at most 5, the points"),
        (lambda: dict(exposures=0), "exposures must be .*got 0"),
        (lambda: dict(touches=6, total=5), "must be at most 5, the points"),
        (lambda: dict(total="a"), "total must be .*got 'a'"),
        (lambda: dict(total=0), "total must be .*got 0"),
        (lambda: dict(seed=-1), "seed must be .*got -1"),
        (lambda: dict(column="c"), "'c'"),
        (lambda: dict(task=3), "and 3"),
        (lambda: dict(column=knowing()), "must know no object, got one that knows 1"),
        (
            lambda: dict(column=dh.SensorimotorColumn(4, 2, device="numpy")),
            "must be for 3 objects .*got one for 2 objects",
        ),
        (lambda: dict(column=dh.SensorimotorColumn(5, 3, device="numpy")), "got one for 3 objects with 5 features"),
    ],
)
def test_shows_of_touch_that_cannot_be(wrong, words):
    with pytest.raises(UserError, match=words):
        touching(**wrong())
