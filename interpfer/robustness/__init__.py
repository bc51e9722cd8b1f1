"""How conclusions depend on choices: every truth and protocol compared with the same maps of the same forwards."""
