-- The pupil by half-term panel from counts by pupil and half-term: every measure is arithmetic on whole numbers.
-- Reads {counts} (one row per pupil and half-term) and openings (area_code, half_term, sessions_open).
SELECT
    c.pupil_id,
    c.half_term,
    c.academic_year,
    c.school_id,
    c.area_code,
    c.year_group,
    c.sessions_attending + c.sessions_approved_activity + c.sessions_authorised + c.sessions_unauthorised AS sessions_possible,
    c.sessions_attending + c.sessions_approved_activity AS sessions_attended,
    c.sessions_authorised,
    c.sessions_unauthorised,
    c.sessions_not_possible,
    c.sessions_no_mark,
    c.sessions_approved_activity,
    c.sessions_off_site,
    c.sessions_c2,
    c.sessions_late,
    c.sessions_suspended,
    c.sessions_late_after_close,
    c.sessions_medical,
    c.sessions_illness,
    o.sessions_open,
    CASE WHEN c.sessions_attending + c.sessions_approved_activity + c.sessions_authorised + c.sessions_unauthorised > 0
         THEN CAST(100 * (c.sessions_authorised + c.sessions_unauthorised) AS DOUBLE)
              / (c.sessions_attending + c.sessions_approved_activity + c.sessions_authorised + c.sessions_unauthorised) END AS absence_rate,
    CASE WHEN c.sessions_attending + c.sessions_approved_activity + c.sessions_authorised + c.sessions_unauthorised > 0
         THEN {persistent_times} * (c.sessions_authorised + c.sessions_unauthorised)
              >= c.sessions_attending + c.sessions_approved_activity + c.sessions_authorised + c.sessions_unauthorised END AS persistent_absence,
    CASE WHEN c.sessions_attending + c.sessions_approved_activity + c.sessions_authorised + c.sessions_unauthorised > 0
         THEN {severe_times} * (c.sessions_authorised + c.sessions_unauthorised)
              >= c.sessions_attending + c.sessions_approved_activity + c.sessions_authorised + c.sessions_unauthorised END AS severe_absence,
    c.harmonised_attended + c.harmonised_absent AS harmonised_possible,
    c.harmonised_absent,
    CASE WHEN c.harmonised_attended + c.harmonised_absent > 0
         THEN CAST(100 * c.harmonised_absent AS DOUBLE) / (c.harmonised_attended + c.harmonised_absent) END AS harmonised_absence_rate
FROM {counts} AS c
JOIN openings AS o ON c.area_code = o.area_code AND c.half_term = o.half_term
