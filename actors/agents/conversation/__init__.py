"""The actor kind `conversation`; see the README beside."""
