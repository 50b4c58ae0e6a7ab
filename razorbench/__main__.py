"""`python -m razorbench`."""

from razorbench.cli import main

if __name__ == "__main__":
    main()
