"""Files, caches and libraries of the machine, for use by all packages."""
