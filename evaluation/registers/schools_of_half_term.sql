-- Pupils whose marks are shared out between schools: one row per pupil and half-term. The school is the one with most possible
-- sessions (ties: the main registration, then the earlier). A session marked D beside a mark of another school counts once.
-- Reads {counts} (one row per pupil, school and stretch of days) and dual_sessions (pupil_id, half_term, sessions).
WITH by_school AS (
    SELECT pupil_id, school_id, area_code, year_group, rank, half_term, academic_year, {sums}
    FROM {counts}
    GROUP BY pupil_id, school_id, area_code, year_group, rank, half_term, academic_year
), ranked AS (
    SELECT *, row_number() OVER (
        PARTITION BY pupil_id, half_term
        ORDER BY sessions_attending + sessions_approved_activity + sessions_authorised + sessions_unauthorised DESC, rank, school_id
    ) AS place
    FROM by_school
), summed AS (
    SELECT pupil_id, half_term, {sums} FROM by_school GROUP BY pupil_id, half_term
)
SELECT s.pupil_id, r.school_id, r.area_code, r.year_group, r.rank, s.half_term, r.academic_year, {columns}
FROM summed AS s
JOIN ranked AS r ON s.pupil_id = r.pupil_id AND s.half_term = r.half_term AND r.place = 1
LEFT JOIN dual_sessions AS d ON s.pupil_id = d.pupil_id AND s.half_term = d.half_term
