"""Use a forecaster on files: predict what follows a clip."""
