"""What the bodies of each model family say, without I/O."""
