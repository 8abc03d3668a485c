"""The command line: one file per command, shared options in `options.py`, errors and exit codes in `app.py`."""
