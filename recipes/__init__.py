"""Recipes: data + model + training + export, one file a task, imported as `kvision.recipes`."""
