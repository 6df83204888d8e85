"""The measurements of ``scripts/benchmark.py`` that need more than a few lines."""
