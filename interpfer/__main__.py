"""``python -m interpfer``, as launchers of several processes want it."""

from interpfer.cli import main

main()
