"""Pictures and videos for people: panels, side-by-side clips, error maps, stream pages."""
