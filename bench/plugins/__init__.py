"""Plugins: the registry of names, the syntax that selects them, plugin files, and a scaffold for new methods."""
