"""Policies run on images: whether stopping early gives what was simulated, and how long it takes on this machine."""
