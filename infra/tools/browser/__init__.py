"""`browser.read`: a page as a browser shows it, scripts run, by the machine's own Chromium."""

from __future__ import annotations

from infra.tools.browser.chromium import chromium
from infra.tools.browser.tool import Browsers, browser_tools

__all__ = ["Browsers", "browser_tools", "chromium"]
