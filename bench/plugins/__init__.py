"""Plugins: the registry of names, what a user writes to name one, files that hold some, and a scaffold."""
