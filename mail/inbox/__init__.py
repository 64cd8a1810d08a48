"""Development's inbox: every mail the site sends ends in a directory, and can be read at `/inbox/`."""
