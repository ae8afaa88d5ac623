-- Everybody's events about one object, or those of one recipient. See lock_event.sql; in the order of their ids, so that
-- two who take them out do not block each other.
SELECT e.id, e.bucket, e.state, e.batch_id
FROM pgsupervise_event e
WHERE e.about_type = %(about_type)s AND e.about_id = %(about_id)s AND NOT e.about_type = ''
    AND (%(recipient)s::text = '' OR e.bucket = %(bucket)s AND e.recipient = %(recipient)s)
ORDER BY e.id
FOR UPDATE
