"""The commands of `kvision` that are not recipes. Each is a module, and its `main(argv)` returns the exit status."""
