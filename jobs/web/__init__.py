"""What the engine shows over HTTP."""
