"""Posts with images, and the sitemap that lists them."""
