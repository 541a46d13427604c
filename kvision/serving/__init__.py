"""Serving: a SavedModel behind the gRPC interface of TF Serving, for testing clients without TF Serving itself."""
