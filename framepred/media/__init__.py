"""Video in and out: files, folders of frames, arrays, cameras; pictures of clips. BGR and codecs end here."""
