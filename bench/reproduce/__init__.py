"""Published experiments, run again if weights and data are available, next to the published numbers."""
