"""What leaves a run: cleared tables, workbook, open data, editions built from cleared tables alone, and the request to the checker."""
