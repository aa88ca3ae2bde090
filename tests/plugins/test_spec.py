from __future__ import annotations

from typing import Literal

import pytest

from bench.errors import UserError
from bench.plugins import registry
from bench.plugins.params import configure, label
from bench.plugins.spec import parse, split_list, split_paths, typed


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


@pytest.mark.parametrize("name", ["my,images", "set[1]", "a[b=c]", "x[,]y", 'Bob\'s, "best"'])
def test_paths_with_commas_and_brackets_are_taken_whole(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.setenv("HERE", str(tmp_path))
    for path in (f"{tmp_path}/{name}", f"$HERE/{name}"):
        items = split_list(f"digits,folder:{path}[image=x],hf:{path},folder:b")
        assert items == ["digits", f"folder:{path}[image=x]", f"hf:{path}", "folder:b"]
        assert parse(items[1]).argument == path and parse(items[1]).params == {"image": "x"}
        assert parse(items[2]).argument == path and not parse(items[2]).params
    items = split_list(f"timm:x[weights={tmp_path}/{name},seen=nothing],b")
    assert parse(items[0]).params == {"weights": f"{tmp_path}/{name}", "seen": "nothing"}
    assert split_paths(f"a.py,{tmp_path}/{name}, b.py") == ["a.py", f"{tmp_path}/{name}", "b.py"]


def test_quotes_hold_what_does_not_exist():
    assert [parse(t).argument for t in split_list("folder:\"a,b[1]\",hf:'c]d'[label=x]")] == ["a,b[1]", "c]d"]
    assert str(parse('folder:"a,b[1]"[x=1]')) == 'folder:"a,b[1]"[x=1]'
    assert split_list("folder:Bob's pictures,b") == ["folder:Bob's pictures", "b"]
    for text in ("folder:a,b]", "folder:set[1]"):
        with pytest.raises(UserError, match="quotes"):
            [parse(part) for part in split_list(text)]


@pytest.mark.parametrize("text", ["0-3", "00-4", "0_-3"])
def test_no_text_is_read_as_another_number(text):
    with pytest.raises(UserError, match=text):
        typed("x", {"k": text}, {"k": int | None})
