"""Words that come from data, on a page: they show as they are, whatever stands in them.

A page's own sentences are Markdown. Names of files, groups and members, values of parameters
and texts of errors are not: each goes through ``plain`` or ``code`` on its way into one.
"""

from __future__ import annotations

import re

from birads_lib.errors import one_line

MARKS = re.compile(r"[\\`*{}\[\]<>&$|~^]|(?<![^\W_])_|_(?![^\W_])")
"""What begins markup anywhere in a line of the book's Markdown; of ``_`` not within a word."""
OPENING = re.compile(r"^(?:[!-/:-@]|\d{1,9}(?=[.)](?:\s|$)))")
"""What begins a heading, a list, a quotation, a fence or a comment where a line begins."""
TICKS = re.compile("`+")


def plain(text: object) -> str:
    """Markdown, on one line, that shows a text as it is."""
    line = MARKS.sub(r"\\\g<0>", one_line(str(text)).strip())
    opening = OPENING.match(line)
    if opening is None:
        return line
    first = opening[0]
    return f"{first}\\{line[len(first) :]}" if first.isdecimal() else f"\\{line}"


def code(text: object) -> str:
    """Markdown, on one line, that shows a text as it is, as code; nothing for no text."""
    line = one_line(str(text))
    if not line.strip():
        return ""
    fence = "`" * (1 + max(map(len, TICKS.findall(line)), default=0))
    room = " " if {line[0], line[-1]} & {"`", " "} else ""
    return f"{fence}{room}{line}{room}{fence}"
