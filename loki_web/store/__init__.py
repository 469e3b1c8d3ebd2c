"""Everything that touches a disk; nothing above this package opens a file."""
