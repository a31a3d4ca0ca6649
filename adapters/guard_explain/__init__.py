"""Why a decision came out so, in words, and the smallest change that would make it a permission."""

from guard_explain.change import Edit, smallest
from guard_explain.words import Explanation, Lang, explain

__all__ = ["Edit", "Explanation", "Lang", "explain", "smallest"]
