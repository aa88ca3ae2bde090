"""The built-in methods: one file each, or a package where more is needed. Entry points register them as plugins."""
