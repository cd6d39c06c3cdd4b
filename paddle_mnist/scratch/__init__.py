"""The networks written by hand in NumPy, without Paddle."""
