"""Suites: named lists of settings that everyone runs in the same way. suites.yaml defines all of them."""
