"""The report page: one file that opens from disk, out of a run folder alone."""

from interpfer.reports.page.render import page_bytes, render_run, render_runs, write_page

__all__ = ["page_bytes", "render_run", "render_runs", "write_page"]
