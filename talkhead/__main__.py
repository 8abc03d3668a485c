"""`python -m talkhead`."""

from talkhead.cli.app import entry

if __name__ == "__main__":
    entry()
