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

#: Jobs of a site that has been busy for a week: one in a hundred died, one in fifty failed on its way, few wait.
JOBS = """
    INSERT INTO jobs_job (id, task, queue, state, args, kwargs, attempt, max_retries, created_at, run_at, dispatched_at,
                          started_at, finished_at, changed_at, worker, last_error, correlation_id)
    SELECT uuidv7(moment - now()), task, queue, state, '[]',
           CASE queue WHEN 'email' THEN jsonb_build_object('kind', 'verification', 'user_id', number % 50000)
                      ELSE jsonb_build_object('kind', 'post', 'key', gen_random_uuid()) END,
           1, 5, moment, moment, moment, moment + interval '10 ms',
           CASE WHEN state IN ('succeeded', 'dead', 'cancelled') THEN moment + interval '50 ms' END,
           moment + interval '50 ms', 'worker@host',
           CASE WHEN state = 'dead' OR number % 50 = 1
                THEN 'TimeoutError: the server at 10.0.0.' || number % 250 || ' did not answer within 10 s' ELSE '' END,
           md5(number::text)
    FROM (SELECT number, now() - interval '7 days' * ({count} - number) / {count} AS moment,
                 (ARRAY['mail.send', 'search.index', 'storage.image', 'storage.delete'])[1 + number % 4] AS task,
                 (ARRAY['email', 'indexing', 'storage', 'storage'])[1 + number % 4] AS queue,
                 CASE WHEN number % 100 = 7 THEN 'dead' WHEN number % 500 = 3 THEN 'cancelled'
                      WHEN number > {count} - 200 THEN 'queued' WHEN number % 2000 = 5 THEN 'scheduled'
                      ELSE 'succeeded' END AS state
          FROM generate_series(1, {count}) AS number) AS written
"""
