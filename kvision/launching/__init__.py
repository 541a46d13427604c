"""Starts and watches the workers of one training job, or writes what a cluster needs to do so. Imports nothing heavy."""
