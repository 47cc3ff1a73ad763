"""`python -m sealpipe` is the same program as `sealpipe`."""

from sealpipe.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
