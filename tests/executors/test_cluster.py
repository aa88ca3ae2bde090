"""Connecting to a cluster: what is said where there is none, and what is tried again."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from bench.errors import UserError
from bench.executors import cluster
from bench.executors.cluster import Cluster, connected

pytestmark = pytest.mark.ray


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nonsense", "ray://127.0.0.1:9"])
def test_a_cluster_that_is_not_there_is_a_sentence(settings, capfd, address):
    with pytest.raises(UserError) as error, connected(Cluster(address), settings(), 1):
        raise AssertionError("nobody is there")
    assert str(error.value).startswith(f"No Ray cluster could be reached at '{address}': ")
    assert "\n" not in str(error.value) and "".join(capfd.readouterr()) == ""
    assert not cluster.ray.is_initialized()


@pytest.mark.parametrize(("said", "failures", "calls", "fails"), [
    ("Starting Ray client server failed. See its log", 1, 2, False),
    ("Starting Ray client server failed. See its log", 9, 3, True),
    ("no such job", 1, 1, True),
])  # fmt: skip
def test_a_client_server_that_dies_at_birth_is_asked_for_again(monkeypatch, said, failures, calls, fails):
    seen = []

    def init(**options):
        seen.append(options)
        if len(seen) <= failures:
            raise ConnectionAbortedError(said)

    monkeypatch.setattr(cluster.ray, "init", init)
    with pytest.raises(ConnectionAbortedError) if fails else nullcontext():
        cluster._start({"address": "ray://somewhere:1"})
    assert seen == [{"address": "ray://somewhere:1"}] * calls
