"""What `make docs` adds to the documents: pages made of the code, and links that hold on the site as on the forge."""
