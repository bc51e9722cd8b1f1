"""One file to send: runs, their comparison, tables, figures, hashes and commands in a zip that opens from disk."""
