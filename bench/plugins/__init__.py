"""Plugins: the registry of names, the syntax that selects them, plugin files, and scaffolds for new ones."""
