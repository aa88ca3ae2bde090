"""Scores of a policy's outcomes: accuracy, calibration, proper scores and conformal sets."""
