"""What an agent is: read from a file, checked, and published as a version."""
