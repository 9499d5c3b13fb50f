"""What this workspace brings: tasks for steps to name. Definitions are the files `*.workflow.yaml` beside this one."""

from actors import Plugin

from .pages import TASKS

plugin = Plugin(tasks=TASKS)
