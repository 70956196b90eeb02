"""Commands in plain words planned without a language model."""

from nadg.planning.builtin.planner import BuiltinPlanner, plan_command

__all__ = ["BuiltinPlanner", "plan_command"]
