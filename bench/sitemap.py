"""`python -m bench.sitemap`: time and memory of the sitemap of up to a million posts, all parts real."""

import argparse

from bench import rows
from bench.servers import Servers, scratch
from bench.site import measured, site


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.sitemap", description=main.__doc__)
    parser.add_argument("--posts", type=int, nargs="+", default=[250_000, 500_000, 1_000_000])
    options = parser.parse_args()
    print("| posts | seconds | posts/s | memory before | peak |\n|---:|---:|---:|---:|---:|")
    with scratch() as directory, site(directory) as (servers, _, variables):
        present = 0
        for posts in sorted(options.posts):
            _write(servers, present + 1, posts)
            present = posts
            took = measured("posts.sitemap.build:write", variables)
            print(
                f"| {posts:,} | {took.seconds:.1f} | {posts / took.seconds:,.0f} | {took.before:.0f} MB"
                f" | {took.peak:.0f} MB |",
                flush=True,
            )


def _write(servers: Servers, first: int, last: int) -> None:
    for statement in (rows.AUTHOR, rows.POSTS.format(first=first, last=last), rows.IMAGES, "ANALYZE posts_post"):
        servers.execute(statement)


if __name__ == "__main__":
    main()
