"""What is unusual in a video from a fixed or moving camera: features, rareness, profiles, events."""
