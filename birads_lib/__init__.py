"""Helper library of the study: tiles in, three networks, numbers and figures out."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from birads_lib.cascade import Cascade

__all__ = ["Cascade"]


def __getattr__(name: str) -> Any:
    # TensorFlow takes seconds to import, so Cascade is imported when first asked for.
    if name == "Cascade":
        from birads_lib.cascade import Cascade

        return Cascade
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
