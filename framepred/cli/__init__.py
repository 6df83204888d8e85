"""The command line: one small file a verb; torch is imported only inside the verb that needs it."""
