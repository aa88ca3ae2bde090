"""Suites: settings that everybody runs in the same way, by one name. suites.yaml defines all of them."""
