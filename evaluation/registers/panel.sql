-- Whole-number counts of sessions per pupil and half-term, from the tallies of one scan of the marks.
-- Reads tallies (see tallies.sql) and mark_classes (code, class_before, class_from, harmonised_class). Only whole numbers
-- are added up, so that the order of addition cannot move a result.
WITH classed AS (
    SELECT t.pupil_id, t.half_term, t.code, t.marks AS sessions, c.harmonised_class,
           CASE WHEN t.from_change THEN c.class_from ELSE c.class_before END AS class
    FROM tallies AS t
    JOIN mark_classes AS c ON t.code = c.code
)
SELECT
    pupil_id,
    half_term,
    CAST(sum(CASE WHEN class = 'attending' THEN sessions ELSE 0 END) AS BIGINT) AS sessions_attending,
    CAST(sum(CASE WHEN class = 'approved_educational_activity' THEN sessions ELSE 0 END) AS BIGINT) AS sessions_approved_activity,
    CAST(sum(CASE WHEN class = 'authorised_absence' THEN sessions ELSE 0 END) AS BIGINT) AS sessions_authorised,
    CAST(sum(CASE WHEN class = 'unauthorised_absence' THEN sessions ELSE 0 END) AS BIGINT) AS sessions_unauthorised,
    CAST(sum(CASE WHEN class = 'not_possible' THEN sessions ELSE 0 END) AS BIGINT) AS sessions_not_possible,
    CAST(sum(CASE WHEN class = 'no_mark' THEN sessions ELSE 0 END) AS BIGINT) AS sessions_no_mark,
    CAST(sum(CASE WHEN code = 'C2' THEN sessions ELSE 0 END) AS BIGINT) AS sessions_c2,
    CAST(sum(CASE WHEN code = 'L' THEN sessions ELSE 0 END) AS BIGINT) AS sessions_late,
    CAST(sum(CASE WHEN code = 'E' THEN sessions ELSE 0 END) AS BIGINT) AS sessions_suspended,
    CAST(sum(CASE WHEN code = 'U' THEN sessions ELSE 0 END) AS BIGINT) AS sessions_late_after_close,
    CAST(sum(CASE WHEN harmonised_class IN ('attending', 'approved_educational_activity') THEN sessions ELSE 0 END) AS BIGINT) AS harmonised_attended,
    CAST(sum(CASE WHEN harmonised_class IN ('authorised_absence', 'unauthorised_absence') THEN sessions ELSE 0 END) AS BIGINT) AS harmonised_absent
FROM classed
GROUP BY pupil_id, half_term
ORDER BY pupil_id, half_term
