"""Modules of the tracking forecaster: layer tracker, layer refinement over several frames, path network."""
