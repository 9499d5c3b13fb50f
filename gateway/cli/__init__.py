"""The command line: `gateway.cli.app:main`."""
