"""The files that digits come in, and where they are downloaded from and cached."""
