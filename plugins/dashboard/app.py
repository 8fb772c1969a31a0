"""The WIT adaptor of the dashboard; the page itself is in `dashboard`."""

from dashboard.document import render as render_page


class DashboardLogic:
    """The interface `dashboard-logic`, under the name that componentize-py looks for."""

    def render(self, sensor_data: str) -> str:
        """Return the whole page as HTML from the hub's state as JSON."""
        return render_page(sensor_data)
