"""The addresses of posts, and those that crawlers know."""

from django.urls import include, path, re_path

from posts.sitemap.place import SHARD_PATTERN
from posts.views import acting, crawlers, reading, searching, writing

posts = [
    path("", reading.index, name="list"),
    path("mine/", reading.mine, name="mine"),
    path("search/", searching.search, name="search"),
    path("new/", writing.new, name="new"),
    path("preview/", acting.preview, name="preview"),
    path("<slug:slug>/", reading.show, name="show"),
    path("<slug:slug>/edit/", writing.edit, name="edit"),
    path("<slug:slug>/delete/", acting.delete, name="delete"),
    path("<slug:slug>/publish/", acting.publish, name="publish"),
    path("<slug:slug>/unpublish/", acting.unpublish, name="unpublish"),
]

urlpatterns = [
    path("posts/", include((posts, "posts"))),
    path("sitemap.xml", crawlers.sitemap, name="sitemap"),
    re_path(rf"^(?P<name>{SHARD_PATTERN})$", crawlers.shard, name="sitemap-shard"),
    path("robots.txt", crawlers.robots, name="robots"),
]
