"""The tracking forecaster: find each layer of a scene in every frame, predict its motion, move it as a whole."""
