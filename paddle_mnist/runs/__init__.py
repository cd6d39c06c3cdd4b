"""What training leaves on disk, and how it resumes."""
