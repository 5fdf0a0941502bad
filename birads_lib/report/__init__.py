"""A report on a few pictures: what the cascade said, and what that does and does not mean."""

from birads_lib.report.writing import write_report

__all__ = ["write_report"]
