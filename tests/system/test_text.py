from __future__ import annotations

import pytest

from bench.system.notices import tell_once
from bench.system.text import clean, file_size, one_line, storable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\rb\x7f\x85\x9b", r"a\x0db\x7f\x85\x9b"),
        ("gnp.\u202etxt\u2066", r"gnp.\u202etxt\u2066"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud83d", r"\ud83d"),
        ("x\ufeff\uffff", r"x\ufeff\uffff"),
        ("\U000e0041", r"\U000e0041"),
        ("naïve – 猫 👩‍🔬\tand\nso", "naïve – 猫 👩‍🔬\tand\nso"),
    ],
)
def test_what_could_mislead_a_reader_or_a_terminal_becomes_visible(text, shown):
    assert clean(text) == shown
    clean(text).encode()


def test_names_are_on_one_line_and_can_be_stored():
    assert one_line(" a\n\tb\u2028c ") == "a b c"
    assert storable("caf\udce9\x1b") == "caf\\xe9\x1b"


def test_notices_are_clean(capsys):
    tell_once("the folder 'a\x1b[2J\u202eb' is passed over")
    assert capsys.readouterr().err == "bench: the folder 'a\\x1b[2J\\u202eb' is passed over\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 kB"), (53_400, "53 kB"), (1_500_000, "1.5 MB"), (12_300_000_000, "12.30 GB")],
)
def test_a_size_has_a_unit_that_suits_it(count, text):
    assert file_size(count) == text
