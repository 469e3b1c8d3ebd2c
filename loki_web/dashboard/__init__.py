"""The page at `/`: our own modules and style sheets, served as they are."""
