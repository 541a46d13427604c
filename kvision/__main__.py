"""Makes `python -m kvision` run the command `kvision`."""

from kvision.cli import main

raise SystemExit(main())
