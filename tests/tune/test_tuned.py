from __future__ import annotations

import pytest
import yaml

from bench.bank.cell import cell_of
from bench.errors import UserError
from bench.trials.plan import Configured, load_methods, method_points
from bench.tune import tuned

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("made_up")]


def finish(search, run_all, kept: str, parameters: dict) -> None:
    """Run a search and write down that it kept this."""
    run_all(search)
    data = yaml.safe_load(search.path.read_text()) | {"kept": kept, "parameters": parameters}
    search.path.write_text(yaml.safe_dump(data))


def test_tuned_values_take_the_place_of_the_defaults(search_of, run_all, bank, tmp_path):
    finish(search_of("eero", 2), run_all, "tuned", {"beta": 3.5})
    finish(search_of("patient_confident", 2), run_all, "defaults", {"n": 2})
    methods = load_methods(["eero", "patient_confident", "entropy_thresh"])
    eero, patient, entropy = tuned.apply(methods, cell_of(bank), tmp_path / "tuned")
    assert eero.label == "eero[beta=3.5]" and eero.tuned == "tuned"
    assert method_points(eero.method, [0.5], 0)[0].params == {"heads": "plain", "beta": 3.5, "vectors": 512}
    assert patient.label == "patient_confident" and patient.tuned == "defaults"
    assert entropy == Configured(methods[2]) and methods[0].config.beta == 1.0


def test_what_was_asked_for_with_parameters_has_a_search_of_its_own(search_of, run_all, bank, tmp_path):
    search = search_of("eero[heads=boosted]", 2)
    assert search.path.name.startswith("digits--cifar_resnet20--eero_heads=boosted--")
    finish(search, run_all, "tuned", {"beta": 7.0})
    (method,) = tuned.apply(load_methods(["eero[heads=boosted]"]), cell_of(bank), tmp_path / "tuned")
    assert method.label == "eero[heads=boosted,beta=7.0]"
    with pytest.raises(UserError, match="'eero' has not been tuned"):
        tuned.apply(load_methods(["eero"]), cell_of(bank), tmp_path / "tuned")


def test_a_search_that_is_missing_unfinished_or_anothers_is_a_sentence(search_of, run_all, bank, tmp_path):
    methods = load_methods(["eero"])
    with pytest.raises(UserError, match=r"bench tune --methods 'eero' --dataset digits --backbone cifar_resnet20"):
        tuned.apply(methods, cell_of(bank), tmp_path / "tuned")
    search = search_of("eero", 4)
    search.put(run_one(search))
    with pytest.raises(UserError, match="1 of 4 trials"):
        tuned.apply(methods, cell_of(bank), tmp_path / "tuned")
    run_all(search)
    assert tuned.apply(methods, cell_of(bank), tmp_path / "tuned")
    with pytest.raises(UserError, match="another bank"):
        other = cell_of(bank).model_copy(update={"bank_digest": "f" * 32})
        tuned.apply(methods, other, tmp_path / "tuned")
    assert tuned.apply(methods, cell_of(bank), tmp_path / "tuned", seeds=(8, 9))
    for seed in (1, 2):  # one of the search, one that decided
        with pytest.raises(UserError, match=f"searched on seed {seed}"):
            tuned.apply(methods, cell_of(bank), tmp_path / "tuned", seeds=(seed, 9))
    data = yaml.safe_load(search.path.read_text())
    search.path.write_text(yaml.safe_dump(data | {"subject": data["subject"] | {"identity": "older"}}))
    with pytest.raises(UserError, match="other code"):
        tuned.apply(methods, cell_of(bank), tmp_path / "tuned")
    search.path.write_text(yaml.safe_dump(data))
    for parameters in ({"bata": 1.0}, {"beta": -1.0}, {"heads.rho": 1.0}):
        data = yaml.safe_load(search.path.read_text()) | {"kept": "tuned", "parameters": parameters}
        search.path.write_text(yaml.safe_dump(data))
        with pytest.raises(UserError, match="does not take the parameters"):
            tuned.apply(methods, cell_of(bank), tmp_path / "tuned")


def run_one(search):
    from bench.tune.attempt import run_whole
    from bench.tune.objective import Evaluator

    return run_whole(search.take(), search.bank, Evaluator("cpu", 1), None)


def test_a_file_gives_back_what_was_written(search_of, run_all):
    search = search_of("jeidnn", 2, seeds=(0,))
    run_all(search)
    stored = tuned.read(search.path)
    assert stored == search.result()
    assert stored.history[0].params["cost"] is None  # None is a value here, not a gap
