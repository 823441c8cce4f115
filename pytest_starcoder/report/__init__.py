"""Parts of reports that several features share."""
