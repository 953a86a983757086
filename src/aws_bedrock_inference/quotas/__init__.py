"""What the account may do, and what a call may cost."""
