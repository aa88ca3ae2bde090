"""`bench tune`: the same search budget for every method, spent only on val. See docs/tuning.md."""
