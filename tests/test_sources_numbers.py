"""Numbers as people write them. What could be read in two ways is decided by the numbers after it, or refused."""

import pytest

from deephtm_gpu.sources.numbers import NumberReader, is_gap


@pytest.mark.parametrize("between, text, expected", [
    (",", "1.234", 1.234),
    (None, "1.234", 1.234),
    (",", "1,234.5", 1234.5),
    (",", "1,234,567", 1234567),
    (",", "12,5", 12.5),
    (",", "1.234,5", 1234.5),
    (";", "1.234.567", 1234567),
    (";", "1.234.567,25", 1234567.25),
    (";", "0.123", 0.123),
    (";", "1234.567", 1234.567),
    (";", "1 234,5", 1234.5),
    (";", "1\u00a0234\u00a0567", 1234567),
    (";", "1'234.5", 1234.5),
    (";", "\u22125", -5),
    (";", "+.5e-3", 0.0005),
    (";", "5.", 5),
    (";", "1e5", 1e5),
])
def test_numbers(between, text, expected):
    assert NumberReader(between=between)(text) == expected


@pytest.mark.parametrize("text, later, expected", [
    ("1.234", ["17", "2,5"], 1234),
    ("1.234", ["17", "2.5"], 1.234),
    ("1,234", ["17", "2,5"], 1.234),
    ("1,234", ["5", "1,234,567"], 1234),
    ("1.234", ["text", "1.234.567"], 1234),  # what is no number decides nothing
])
def test_later_numbers_decide(text, later, expected):
    read = NumberReader(between=";")
    assert read(text, later) == expected == read(text)


@pytest.mark.parametrize("between, text, later", [
    (";", "1.234", []), (";", "1,234", ["17", "2.345", "text"]), ("\t", "12.345", ["13.456"]), (",", "1,234", ["5"]),
])
def test_what_nothing_decides_is_refused(between, text, later):
    with pytest.raises(ValueError) as error:
        NumberReader(between=between)(text, later)
    assert "--decimal" in error.value.args[1]


@pytest.mark.parametrize("first, then", [("1.5", "1,5"), ("1,5", "1.5"), ("1,234.5", "1.234,5")])
def test_signs_are_never_mixed(first, then):
    read = NumberReader(between=";")
    read(first)
    with pytest.raises(ValueError):
        read(then)


@pytest.mark.parametrize("decimal, text, expected", [
    (".", "1,234", 1234), (",", "1,234", 1.234), (",", "1.234", 1234), (".", "1.234", 1.234)])
def test_a_sign_that_is_given(decimal, text, expected):
    for between in (",", ";", None):
        assert NumberReader(decimal, between)(text) == expected


@pytest.mark.parametrize("text", ["", ".", "e5", "1_000", "5 %", "12 kW", "$5", "12,34,567", "1 23", "0x10", "1.2.3",
                                  "\u0661", "--5", "1e", "true", "1,234 567", "inf", "1e999", "-2e100"])
def test_what_is_none(text):
    with pytest.raises(ValueError):
        NumberReader(between=";")(text)


def test_gaps():
    assert all(map(is_gap, ["", " ", "NA", "n/a", "null", "None", "-", "NaN", "-nan", None, float("nan")]))
    assert not any(map(is_gap, ["0", 0, 0.0, "text", "-1", "inf", False]))
