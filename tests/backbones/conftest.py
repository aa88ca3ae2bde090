import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch):
    """Tests see no weight files but those that they make."""
    monkeypatch.delenv("BENCH_DATA", raising=False)
