"""Speed, measured: `python -m benchmarks.NAME` prints a table and, as its last line, one JSON
object that also goes to out/benchmarks/NAME.json."""
