"""Files that are damaged in every way: rows, or one sentence. Never another exception."""

import gzip
import io
import random

import pytest

from deephtm_gpu.errors import UserError
from deephtm_gpu.sources import Reading, open_source

SEEDS = (
    "when,load,kind\n" + "".join(f"2024-01-{1 + n // 24:02d} {n % 24:02d}:00,{n * n / 7:.3f},a\n" for n in range(60)),
    "when;load\n" + "".join(f"{13 + n // 24}/1/2024 {n % 24}:00;{n / 7:.3f}\n".replace(".", ",") for n in range(60)),
    "when,load,s\ndatetime,float,int\nT,,S\n" + "".join(f"{n * 60},{n % 5},{n // 9}\n" for n in range(60)),
    "".join(f'{{"when": {1404172800 + n}, "load": {n / 3}}}\n' for n in range(60)),
)
PIECES = ("", "NA", "-", ",", ";", "\t", '"', '""', "\n", "\r", "\r\n", "\0", "\ufeff", "\u00e9", "1e400", "inf", "nan",
          "5 %", "1,234.5", "1.234,5", "00:60", "24:00", "31/12/99", "0000-00-00", "9999-12-31 24:00", "[", "{", "}",
          "\u2212", "9" * 400, "when,load\n", "sep=;\n", "\\", "+99:99", "W53")


def mutated(rng) -> bytes:
    data = rng.choice(SEEDS)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at, length = rng.randrange(len(data) + 1), rng.choice((0, 1, 1, 5, 20))
        data = data[:at] + rng.choice(PIECES) + data[at + length:]
    content = data.encode(rng.choice(("utf-8",) * 12 + ("utf-16", "utf-16-be", "utf-32")))
    for _ in range(rng.choice((0, 0, 0, 0, 0, 1))):
        at = rng.randrange(len(content))
        content = content[:at] + bytes([rng.randrange(256)]) + content[at + 1:]
    if rng.random() < 0.15:
        content = gzip.compress(content)
        content = content[:rng.choice((len(content), len(content) // 2, len(content) - 3))]
    return content if rng.random() < 0.9 else content[:rng.randrange(len(content) + 1)]


def read(path, rng):
    """How many rows, and whether it ended in a sentence."""
    options = Reading(delimiter=rng.choice((None,) * 9 + (";", "tab")), decimal=rng.choice((None,) * 9 + (".", ",")),
                      time_format=rng.choice((None,) * 9 + ("day-first",)), header=rng.random() < 0.9)
    columns, timestamp = ("load", rng.choice((None, "when"))) if options.header else ("2", rng.choice((None, "1")))
    count = 0
    try:
        with open_source(str(path), columns, timestamp, options) as stream:
            for rows in stream.chunks():
                count += len(rows)
                assert all(row.value is None and row.why or abs(row.value) <= 1e100 for row in rows)
    except UserError as error:
        assert str(error).endswith(".") and "\n" not in str(error) and "\r" not in str(error), str(error)
        return count, True
    return count, False


def fuzz(tmp_path, numbers):
    results = []
    for number in numbers:
        rng = random.Random(number)
        (tmp_path / "a.csv").write_bytes(mutated(rng))
        results.append(read(tmp_path / "a.csv", rng))
    # Many of both kinds, or nothing was tested.
    refused = sum(bad for _, bad in results)
    assert 0.1 < refused / len(results) < 0.9 and sum(count for count, _ in results) > 10 * len(results)


def test_damaged_arrow_files(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = arrow.table({"when": arrow.array(range(90), arrow.timestamp("s")), "load": [str(n) for n in range(90)]})
    wholes = []
    for kind in (arrow.ipc.new_file, arrow.ipc.new_stream, None):
        whole = io.BytesIO()
        if kind is None:
            parquet.write_table(table, whole)
        else:
            with kind(whole, table.schema) as writer:
                writer.write_table(table)
        wholes.append(whole.getvalue())
    results = []
    for number in range(300):
        rng = random.Random(number)
        content = bytearray(rng.choice(wholes))
        for _ in range(rng.choice((1, 2, 8))):
            content[rng.randrange(6, len(content))] = rng.randrange(256)
        (tmp_path / "a").write_bytes(content[:rng.choice((len(content),) * 4 + (rng.randrange(8, len(content)),))])
        try:
            with open_source(str(tmp_path / "a"), "load", "when") as stream:
                results.append(sum(map(len, stream.chunks())))
        except UserError as error:
            assert "\n" not in str(error)
            results.append(0)
    assert 10 < sum(count > 0 for count in results) < 290


def test_damaged_files(tmp_path):
    fuzz(tmp_path, range(300))


@pytest.mark.soak
def test_many_damaged_files(tmp_path):
    fuzz(tmp_path, range(300, 3300))
