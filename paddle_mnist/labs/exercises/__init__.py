"""The labs' exercises: what is asked, hints, and how an answer is checked; a module for each lab."""
