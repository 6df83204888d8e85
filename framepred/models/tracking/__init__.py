"""Everything that only the tracking forecaster needs: tracker, layers from several frames, path network."""
