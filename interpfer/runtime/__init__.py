"""Where work runs: the device, the processes, the threads."""
