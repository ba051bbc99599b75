"""``python -m runstead``."""

import sys


def main() -> None:
    """Parse argv and call bootstrap."""
    from runstead.bootstrap import main as run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
