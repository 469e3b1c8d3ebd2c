"""Read and write files. No package above this one opens a file."""
