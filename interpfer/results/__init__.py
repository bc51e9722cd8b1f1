"""What a score leaves behind: the run folder, its tables, and reading them again."""
