"""Starts and watches the workers of a training job, or writes commands and scripts for a cluster.

This package imports only light modules.
"""
