"""The command line: one small file per command; torch is imported only inside the command that needs it."""
