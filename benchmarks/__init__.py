"""What is measured, one file a question: ``python -m benchmarks``, or ``make bench``.

A question is a module with ``measure(size) -> Result``; ``harness`` times, ``sets``
makes the tiles. The answers of one run on one machine are kept in ``results.json``,
which the chapter on cost shows.
"""
