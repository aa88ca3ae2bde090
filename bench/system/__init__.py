"""Files, caches and libraries of the machine: what any room may use."""
