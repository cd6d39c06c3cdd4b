"""The exercises of the labs: what to write, hints, and how an answer is checked; one module for each lab."""
