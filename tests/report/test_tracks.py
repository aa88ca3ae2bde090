"""Settings of images and of texts in one report: they share no table and no figure."""

from __future__ import annotations

import pytest

from bench.report.figures.contents import overall_figures
from bench.report.page import index_page
from bench.report.tables import overall_tables
from tests.helpers.figures import overall
from tests.helpers.records import cell, records

IMAGES = [cell(backbone=name, bank_digest=name, dataset="cifar100") for name in ("net_a", "net_b")]
TEXTS = [
    cell(backbone=name, bank_digest=name, dataset="banking77", modality="text", image_size=14) for name in ("a", "b")
]


@pytest.fixture(scope="module")
def mixed():
    return overall([record for where in [*IMAGES, *TEXTS] for record in records(where=where, lift=0.3)])


def test_a_table_has_settings_of_one_modality(mixed):
    tables = {table.name: table for table in overall_tables(mixed)}
    assert list(tables) == ["overall", "own_gain", "overall_text", "own_gain_text"]
    assert tables["overall"].title == "Overall: images" and tables["overall_text"].title == "Overall: texts"
    keys = {name: {column.key for column in table.columns} for name, table in tables.items()}
    assert not any("banking77" in key for key in keys["own_gain"]) and not any(
        "cifar" in key for key in keys["own_gain_text"]
    )
    assert [track.across.cells for track in mixed.tracks] == [
        tuple(sorted(c.name for c in mixed.cells if c.modality == kind)) for kind in ("image", "text")
    ]
    with pytest.raises(ValueError, match="cannot be compared"):
        mixed.across  # noqa: B018


def test_names_say_tokens_and_pixels(mixed):
    assert {c.name.split(" · ")[2] for c in mixed.cells if c.modality == "text"} == {"14 tokens"}
    assert {c.name.split(" · ")[2] for c in mixed.cells if c.modality == "image"} == {"96 px"}
    assert dict(next(c for c in mixed.cells if c.modality == "text").facts)["Mean length"] == "14 tokens"
    page = index_page(mixed, overall_tables(mixed), overall_figures(mixed), ("md",))
    assert "Overall: texts" in page and "14 tokens" in page


def test_one_modality_alone_keeps_its_names():
    texts = overall([record for where in TEXTS for record in records(where=where, lift=0.3)])
    assert [table.name for table in overall_tables(texts)] == ["overall", "own_gain"]
    assert texts.tracks == (texts,)
