-- Runs about an object that is taken back tell nobody more.
UPDATE pgsupervise_fanout f
SET state = 'DONE', finished_at = now(), error = 'what it is about was taken back'
WHERE f.state = 'RUNNING' AND f.about_type = %(about_type)s AND f.about_id = %(about_id)s
