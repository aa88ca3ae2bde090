"""The files that `bench new KIND NAME` writes: for each kind a working plugin and its test."""
