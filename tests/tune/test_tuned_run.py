"""`--tuned` in plans, runs, records and reports."""

from __future__ import annotations

import json

import pytest
import yaml

from bench.config import RunConfig
from bench.errors import UserError
from bench.session import Session
from bench.trials.plan import Trial
from bench.trials.record import Point, record_id
from tests.helpers.commands import SMALL, SMALL_CONFIG
from tests.helpers.searches import BUDGETS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("made_up")]

GIVEN = ["--budgets", ",".join(map(str, BUDGETS))]


@pytest.fixture
def session_of(bank, tmp_path):
    def make(methods: str, **more) -> Session:
        given = {"methods": methods, "budgets": BUDGETS, "output": tmp_path, "seeds": (7, 8)}
        return Session(RunConfig(**SMALL_CONFIG, **given, **more))

    return make


@pytest.fixture
def searched(search_of, run_all):
    """Make searches that kept this: `searched(eero={"beta": 3.5}, eefp=None)`; None: the defaults."""

    def make(**kept) -> None:
        for name, parameters in kept.items():
            search = search_of(name, 2, seeds=(0,))
            run_all(search)
            data = yaml.safe_load(search.path.read_text())
            if parameters is not None:
                data |= {"kept": "tuned", "parameters": parameters, "reason": "trial 1 beats the defaults by far"}
            search.path.write_text(yaml.safe_dump(data))

    return make


def owed_by(session: Session) -> list[Trial]:
    return [trial for _, trial in session.prepare(next(session.sources())).work]


def test_a_tuned_plan_has_what_was_kept(session_of, searched, bank):
    searched(eero={"beta": 3.5}, eefp=None)
    trials = owed_by(session_of("eero,eefp,entropy_thresh", tuned=True))
    found = {t.points[0].label: t.points[0].tuned for t in trials if t.points[0].kind == "method"}
    assert found == {"eero[beta=3.5]": "tuned", "eefp": "defaults", "entropy_thresh": None}
    assert {t.points[0].params["beta"] for t in trials if t.method == "eero"} == {3.5}
    plain = owed_by(session_of("eero"))
    assert {p.tuned for t in plain for p in t.points} == {None}


def test_tuned_values_that_were_also_given_by_hand_run_once(session_of, searched, bank):
    searched(eero={"beta": 3.5})
    trials = owed_by(session_of("eero,eero[beta=3.5]", tuned=True))
    assert [(t.seed, t.points[0].tuned) for t in trials if t.method == "eero"] == [(7, "tuned"), (8, "tuned")]


def test_how_parameters_came_to_be_does_not_name_a_record(session_of, searched, bank):
    searched(eero={"beta": 3.5}, eefp=None)
    tuned = owed_by(session_of("eero,eefp", tuned=True))
    given = owed_by(session_of("eero[beta=3.5],eefp"))
    ids = [{record_id(t.cell, p) for t in trials for p in t.points} for trials in (tuned, given)]
    assert ids[0] == ids[1]
    old = tuned[1].points[0].model_dump(exclude={"tuned"})
    assert Point.model_validate(old).tuned is None  # records of before can be read


def test_a_search_of_another_bank_is_not_used(session_of, searched, bank, search_of):
    searched(eero={"beta": 3.5})
    path = search_of("eero", 2, seeds=(0,)).path
    data = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(data | {"subject": data["subject"] | {"bank_digest": "f" * 32}}))
    with pytest.raises(UserError, match="another bank"):
        owed_by(session_of("eero", tuned=True))


@pytest.mark.slow
def test_a_tuned_run_says_so_everywhere(bench, searched, tmp_path):
    searched(eero={"beta": 3.5}, patient_confident=None)
    words = [
        *SMALL,
        *GIVEN,
        "--methods",
        "eero,patient_confident,entropy_thresh",
        "-o",
        tmp_path,
        "--tuned",
        "--seeds",
        "7,8",
    ]
    plan = json.loads(bench("plan", *words, "--json").stdout)
    assert "eero[beta=3.5]" in [m["method"] for m in plan["banks"][0]["methods"]]
    done = bench("run", *words)
    assert done.returncode == 0, done.stderr
    assert "eero[beta=3.5] runs with the values that its search kept." in done.stdout
    assert "patient_confident runs with its defaults, which its search kept." in done.stdout
    points = [json.loads(p.read_text())["point"] for p in (tmp_path / "digits").rglob("*.json")]
    assert {p["label"]: p["tuned"] for p in points if p["kind"] == "method"} == {
        "eero[beta=3.5]": "tuned", "patient_confident": "defaults", "entropy_thresh": None,
    }  # fmt: skip
    page = (tmp_path / "report/digits/cifar_resnet20/leaderboard.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("| eero"))  # of the leaderboard, without ranks
    assert "tuned |" in row and "defaults kept by the search" in page
    assert "| eero | 2 of 2 |" in page and "| tuned values | beta=3.5 |" in page
    assert (tmp_path / "report/digits/cifar_resnet20/figures/search--eero.png").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seeds", "7"], "bench tune --methods 'eefp'"),
        (["--seeds", "7", "--image-size", "16"], "another bank"),
        (["--seeds", "0", "--methods", "eero"], "searched on seed 0"),
    ],
)
def test_what_cannot_be_used_is_a_sentence_before_any_work(bench, searched, tmp_path, words, said):
    searched(eero={"beta": 3.5})
    done = bench("run", *SMALL, *GIVEN, "--methods", "eero,eefp", "-o", tmp_path, "--tuned", *words)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.json"))
