"""WIT adapter of the dashboard plugin; the package `dashboard` renders the page."""

from dashboard.document import render as render_page


class DashboardLogic:
    """Implementation of the WIT interface `dashboard-logic`; componentize-py requires this name."""

    def render(self, sensor_data: str) -> str:
        """Return the whole page as HTML from the hub's state as JSON."""
        return render_page(sensor_data)
