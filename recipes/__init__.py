"""Recipes: one file for each task, from data to an exported model. Imported as `kvision.recipes`."""
