"""The engine: from what just happened to what must happen next. Pure; see the README beside."""
