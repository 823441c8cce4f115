"""The kinds of edits, a file an idea; all of them are found by listing this folder."""
