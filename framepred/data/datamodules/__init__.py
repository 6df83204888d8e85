"""Lightning data modules, one per file."""
