"""What stands behind stack.py."""
