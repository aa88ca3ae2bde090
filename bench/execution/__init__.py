"""Policies run on images or texts: whether stopping early gives what was simulated, and how long it takes here."""
