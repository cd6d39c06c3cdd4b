"""Training by many processes, on one machine or several, with the bits of one process."""
