"""Scores of what a policy did: accuracy, calibration, proper scores and conformal sets."""
