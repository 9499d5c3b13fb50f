"""A workspace. Being a package lets its tests import the files beside them."""
