from __future__ import annotations

from typing import Literal

import pytest

from bench.errors import UserError
from bench.plugins import registry
from bench.plugins.params import configure, label
from bench.plugins.spec import parse, split_list, typed


def test_specs_come_back_as_they_went():
    for text in ("jeidnn", "pcee[heads=boosted[width=64],k=2]", "folder:/a/b c", "hf:user/name[label=x]"):
        assert str(parse(text)) == text
    assert parse("a[x=1,y=b[z=2]]").params == {"x": "1", "y": "b[z=2]"}
    assert split_list("a[x=1,y=2], b ,c") == ["a[x=1,y=2]", "b", "c"]


@pytest.mark.parametrize("text", ["", "a[", "a]", "a[x]", "a[x=1,x=2]", "a b"])
def test_what_is_no_spec_is_said(text):
    with pytest.raises(UserError):
        parse(text)


def test_the_word_none_is_itself_where_it_is_a_choice_and_nothing_elsewhere():
    fields = {"a": Literal["none", "x"], "b": Literal["none", "x"] | None, "c": int | None, "d": str | None, "e": str}
    values = typed("test", dict.fromkeys(fields, "none"), fields)
    assert values == {"a": "none", "b": "none", "c": None, "d": None, "e": "none"}


def test_a_preset_can_be_overridden_by_none():
    config = registry.load("methods", "jeidnn").Config
    overridden = configure(config, parse("jeidnn[preset=released,pos_weight=none]"))
    assert overridden.option("pos_weight") == "none"
    assert configure(config, parse("jeidnn[preset=released]")).option("pos_weight") == "released"
    assert label("jeidnn", configure(config, parse("jeidnn[points=5]"))) == "jeidnn[points=5]"
