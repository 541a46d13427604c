"""Starts and watches the workers of a training job, or writes what a cluster needs for it. Imports nothing heavy."""
