"""One function per command: files in, files out, the same words as the command line."""
