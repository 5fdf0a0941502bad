"""The study itself: what the paper prints, the runs, their figures and their ledger."""
