"""A study's records, read by those who only look: verbs that print, pages, exports, notebooks.

Nothing is changed here.
"""
