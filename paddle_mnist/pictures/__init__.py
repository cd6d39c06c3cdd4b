"""From a photo to 28×28 digits."""
