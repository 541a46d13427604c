"""`python -m kvision` is `kvision`."""

from kvision.cli import main

raise SystemExit(main())
