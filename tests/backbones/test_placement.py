"""Where exits sit, from what a user writes."""

import pytest

from bench.backbones.placement import place
from bench.errors import UserError


def at(text, blocks=12, ends=None):
    return place(text, owner="net", blocks=blocks, default="blocks", stage_ends=ends)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, tuple(range(11))),
        ("blocks", tuple(range(11))),
        ("every=2", (1, 3, 5, 7, 9)),
        ("every=3", (2, 5, 8)),
        ("every=5", (4, 9)),
        ("every=11", (10,)),
        ("2,5,8", (2, 5, 8)),
        (" 0, 10 ", (0, 10)),
    ],
)
def test_transformer_places(text, expected):
    assert at(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, (-1, 0, 1, 2)), ("blocks", (-1, 0, 1, 2)), ("-1,2", (-1, 2)), ("1", (1,)), ("-1", (-1,))],
)
def test_an_exit_before_the_first_block_where_there_may_be_one(text, expected):
    assert place(text, owner="net", blocks=4, default="blocks", embeddings=True) == expected
    if text and "-1" in text:
        with pytest.raises(UserError, match="is not a valid value for exits"):
            at(text)


def test_stages_end_where_the_family_says_but_never_at_the_last_block():
    assert at("stages", blocks=9, ends=[2, 5, 8]) == (2, 5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("2,11", "after the last block, 11, where net's own head is"),
        ("2,12", "names block 12, but net has 12 blocks, 0 to 11"),
        ("5,2", "must ascend, each block once: 2,5"),
        ("2,2", "must ascend, each block once: 2"),
        ("every=12", "gives no intermediate exit"),
        ("every=0", "gives no intermediate exit"),
        ("stages", "blocks of one kind only"),
        (
            "half",
            "'half' is not a valid value for exits. Valid for net: blocks, every=1 … every=11, or indices from 0 to 10",
        ),
        ("", "is not a valid value for exits"),
        ("-1,2", "is not a valid value for exits"),
    ],
)
def test_bad_places_say_what_is_valid(text, says):
    with pytest.raises(UserError) as error:
        at(text)
    assert says in str(error.value)


def test_the_example_in_the_message_is_valid_itself():
    with pytest.raises(UserError) as error:
        at("?", blocks=16)
    example = str(error.value).rpartition("such as ")[2].rstrip(".")
    assert at(example, blocks=16)
