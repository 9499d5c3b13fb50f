"""What is done to pages. A new task is a function here, and an entry of this list."""

from actors.workflows.tasks import Task

from .listing import Folder, Listing, list_files
from .measuring import Page, Source, measure
from .reporting import Approved, Broken, Found, Pages, Summary, Written, broken, summarise, write

TASKS = [
    Task("files.list", list_files, input=Folder, output=Listing, effect_class="pure"),
    Task("pages.measure", measure, input=Source, output=Page, effect_class="pure"),
    Task("pages.broken", broken, input=Pages, output=list[Broken], effect_class="pure"),
    Task("pages.summary", summarise, input=Found, output=Summary, effect_class="pure"),
    Task("pages.write", write, input=Approved, output=Written, effect_class="idempotent"),
]

__all__ = ["TASKS", "broken", "list_files", "measure", "summarise", "write"]
