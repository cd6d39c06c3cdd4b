"""The file formats of the digits, their download and their cache."""
