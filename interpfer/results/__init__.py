"""Results of a score: the run folder, its tables, and reading and comparing finished runs."""
