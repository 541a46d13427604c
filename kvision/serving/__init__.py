"""A SavedModel behind TF Serving's gRPC interface, to try clients where TF Serving itself is not at hand."""
