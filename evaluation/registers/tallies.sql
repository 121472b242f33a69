-- One scan of the marks: whole numbers per pupil, school and stretch of days, from which intake and panel both follow.
-- Reads {marks} (pupil_id, school_id if any, date, session, code), days (date, segment, bit) and the functions codes_a and codes_b,
-- what a code adds to the counters of its group, several counters to a whole number, and in_morning and in_afternoon, 1 or 0. Each
-- day has its own power of two. A mask holds the days with an odd number of marks, so that the masks have as many binary ones as
-- there are marks if, and only if, every mark is of a morning or an afternoon and no session is there twice.
SELECT
    m.pupil_id,
    {school_id} AS school_id,
    d.segment,
    count(*) AS marks,
    TRY_CAST(sum(codes_a(m.code)) AS BIGINT) AS codes_a,
    TRY_CAST(sum(codes_b(m.code)) AS BIGINT) AS codes_b,
    coalesce(bit_xor(d.bit * in_morning(m.session)), 0) AS am_days,
    coalesce(bit_xor(d.bit * in_afternoon(m.session)), 0) AS pm_days
FROM {marks} AS m
LEFT JOIN days AS d ON m.date = d.date
WHERE {only}
GROUP BY {keys}
