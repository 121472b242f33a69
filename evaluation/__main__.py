"""``python -m evaluation``: the same commands."""

from evaluation.cli import main

if __name__ == "__main__":
    main()
