"""`bench tune`: the same search budget for every method, spent on val alone. See docs/tuning.md."""
