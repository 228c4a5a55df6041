"""Where things lie in the checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HELPERS = ROOT / "test" / "helpers"
DOCS = ROOT / "docs"
RESULTS = DOCS / "results"
