"""The example of an agent: it answers about the files of a folder, and may write one when a person agrees."""
