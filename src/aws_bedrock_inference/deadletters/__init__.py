"""Dead letters: what failed is kept, explained, and done again once."""
