"""Statements that write many posts and images at once, with what the app's own keys and ids look like."""

#: Who wrote them all.
AUTHOR = """
    INSERT INTO accounts_user (id, password, is_superuser, email, name, language, is_active, is_staff, joined_at)
    SELECT gen_random_uuid(), '', false, 'bench@localhost', '', '', true, false, now()
    WHERE NOT EXISTS (SELECT FROM accounts_user)
"""

#: Published posts, by their numbers.
POSTS = """
    INSERT INTO posts_post (id, author_id, title, slug, text, excerpt, last_image, created_at, changed_at, published_at)
    SELECT uuidv7(), (SELECT id FROM accounts_user), 'A title', 'a-title-of-ordinary-length-' || number, 'text', '', 0,
           now(), now(), now()
    FROM generate_series({first}, {last}) AS number
"""

#: An image with a variant for every tenth post.
IMAGES = """
    INSERT INTO posts_postimage (id, post_id, key, content_type, width, height, number, alt, variants, added_at)
    SELECT gen_random_uuid(), id, 'posts/' || id || '/original.jpg', 'image/jpeg', 1920, 1080, 1, '',
           jsonb_build_array(jsonb_build_object('key', 'posts/' || id || '/w1920.webp', 'width', 1920, 'height', 1080)),
           now()
    FROM posts_post WHERE slug LIKE '%0' AND NOT EXISTS (SELECT FROM posts_postimage WHERE post_id = posts_post.id)
"""

#: Posts whose id is their number, one for each thousand images.
NUMBERED_POSTS = """
    INSERT INTO posts_post (id, author_id, title, slug, text, excerpt, last_image, created_at, changed_at)
    SELECT lpad(to_hex(n), 32, '0')::uuid, (SELECT id FROM accounts_user), 't', n::text, 't', '', 0, now(), now()
    FROM generate_series({first} / 1000, {last} / 1000) AS n ON CONFLICT DO NOTHING
"""

#: Images whose id is their number, of nine objects in ten: the tenth is an orphan.
NUMBERED_IMAGES = """
    INSERT INTO posts_postimage (id, post_id, key, content_type, width, height, number, alt, variants, added_at)
    SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n / 1000), 32, '0')::uuid,
           'posts/' || lpad(to_hex(n / 1000), 32, '0') || '/' || lpad(to_hex(n), 32, '0') || '/original.jpg',
           'image/jpeg', 9, 9, n % 1000, '', '[]', now()
    FROM generate_series({first}, {last}) AS n WHERE n % 10 <> 0
"""
