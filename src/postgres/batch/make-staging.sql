SELECT make_staging($1, $2, $3) AS name
