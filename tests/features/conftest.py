from small_export import expected, exported, images, model, other  # noqa: F401 - fixtures
