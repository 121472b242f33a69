"""The studies as a user runs them: the command, the run folder it leaves, both editions of the report."""
