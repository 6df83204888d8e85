"""The experiments of ``scripts/why_gates.py``."""
