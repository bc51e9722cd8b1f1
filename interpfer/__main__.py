"""``python -m interpfer``, as launchers call it."""

from interpfer.cli import main

if __name__ == "__main__":
    main()
