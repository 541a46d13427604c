"""Commands of `kvision` that are not recipes: one module each, with `main(argv) -> exit status`."""
