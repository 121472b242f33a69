-- One scan of the marks: whole numbers per pupil, school and stretch of days, from which intake and panel both follow.
-- Reads {marks} (pupil_id, school_id if any, date, session, code), days (date, segment, bit) and mark_codes (code, codes_a,
-- codes_b, codes_c). Each code adds one to the counter of its group, several counters to a whole number; each day adds its own
-- power of two, so that the sum has as many binary ones as there are marks if, and only if, no session is there twice.
SELECT
    m.pupil_id,
    {school_id} AS school_id,
    d.segment,
    count(*) AS marks,
    TRY_CAST(sum(c.codes_a) AS BIGINT) AS codes_a,
    TRY_CAST(sum(c.codes_b) AS BIGINT) AS codes_b,
    TRY_CAST(sum(c.codes_c) AS BIGINT) AS codes_c,
    TRY_CAST(sum(d.bit) AS BIGINT) AS all_days,
    TRY_CAST(sum(d.bit) FILTER (WHERE m.session = 'PM') AS BIGINT) AS pm_days
FROM {marks} AS m
LEFT JOIN days AS d ON m.date = d.date
LEFT JOIN mark_codes AS c ON m.code = c.code
WHERE {only}
GROUP BY {keys}
