"""Shows in a browser what ``interpfer explain`` shows, for one model or several side by side."""
