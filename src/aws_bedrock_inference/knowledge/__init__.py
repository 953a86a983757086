"""What AWS errors and models mean, as data with dates."""
