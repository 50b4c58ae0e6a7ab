"""`python -m razorbench`."""

from razorbench.commands.main import main

if __name__ == "__main__":
    main()
