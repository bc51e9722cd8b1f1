"""Runtime environment: device, processes, threads, progress."""
