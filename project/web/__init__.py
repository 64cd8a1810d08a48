"""The web process: uvicorn, with the bounds on connections and bodies that it does not have of its own."""
