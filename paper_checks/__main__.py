"""Run the command line with ``python -m paper_checks``."""

from paper_checks.cli import main

if __name__ == "__main__":
    main()
