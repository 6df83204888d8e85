"""LightningDataModules, one a file: which clips train, validate and test."""
