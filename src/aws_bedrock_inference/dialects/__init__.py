"""What each model family's bodies say, spelt once: pure functions without I/O."""
