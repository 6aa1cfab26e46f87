"""What Keras and PyTorch do where the user says nothing, as changes of a spec and a recipe.

Keras's defaults are what a spec means. A `Default` turns one of them into PyTorch's: (ModelSpec, Recipe) to
(ModelSpec, Recipe), no framework needed, so that both backends can train either. table.py is the list; what no spec can
say is named by left_out.py.
"""

from harness.plan.defaults.base import Change, Default
from harness.plan.defaults.left_out import LeftOut, left_out, written
from harness.plan.defaults.table import DEFAULTS, applicable, switched

__all__ = ["DEFAULTS", "Change", "Default", "LeftOut", "applicable", "left_out", "switched", "written"]
