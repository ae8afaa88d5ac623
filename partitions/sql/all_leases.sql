-- Who owns what: 256 small rows, read at every beat.
SELECT bucket, owner_id, epoch FROM pgsupervise_lease WHERE bucket >= 0
