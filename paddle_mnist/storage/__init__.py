"""Files that may come from strangers: bounded when read, complete when written."""
