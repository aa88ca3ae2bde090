"""Whatever a name contains, looking for data of that name ends in a sentence."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench import datasets
from tests.helpers.damage import sentence

NAMES = st.text(st.sampled_from(list("ab/.~$[]=,;\0\n\t ☃\ud800*?")), max_size=12)


@given(name=NAMES)
@settings(suppress_health_check=list(HealthCheck))
def test_odd_names_of_data_end_in_a_sentence(name, folder, monkeypatch):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        sentence(lambda: datasets.load(f"folder:none{name}"))
