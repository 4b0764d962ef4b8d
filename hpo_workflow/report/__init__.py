"""The report of a study as one HTML page: `axes` and `charts` draw, `page` puts everything together.

Pure: what a page shows comes in as values (`content.Content`), text comes out. Nothing is read here but the templates.
"""
