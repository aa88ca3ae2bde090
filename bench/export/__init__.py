"""Fitted policies as folders: written by `bench export`, loaded by `bench.load_policy`."""

from bench.export.loaded import LoadedPolicy, load

__all__ = ["LoadedPolicy", "load"]
