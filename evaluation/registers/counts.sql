-- Sessions of each pupil, school and stretch of days by class of mark. Reads {tallies}, segments, places and grid. Only
-- whole numbers are added up, so that the order of addition cannot move a result. Joins keep unmatched rows to the end so that
-- an engine does not first make every pupil's every stretch; a row with a half-term has found its stretch and its place.
WITH unpacked AS (
    SELECT t.pupil_id, p.school_id, p.area_code, p.year_group, p.rank, g.half_term, s.academic_year, s.later, {groups}
    FROM {tallies} AS t
    LEFT JOIN segments AS s ON t.segment = s.segment
    LEFT JOIN places AS p ON t.pupil_id = p.pupil_id AND s.academic_year = p.academic_year AND {place}
    LEFT JOIN grid AS g ON p.calendar = g.calendar AND t.segment = g.segment
    WHERE g.half_term IS NOT NULL
)
SELECT
    pupil_id, school_id, area_code, year_group, rank, half_term, academic_year,
    {attending} AS sessions_attending,
    {approved_educational_activity} AS sessions_approved_activity,
    {authorised_absence} AS sessions_authorised,
    {unauthorised_absence} AS sessions_unauthorised,
    {not_possible} AS sessions_not_possible,
    {no_mark} AS sessions_no_mark,
    {off_site} AS sessions_off_site,
    {part_time} AS sessions_c2,
    {late} AS sessions_late,
    {suspended} AS sessions_suspended,
    {late_after_close} AS sessions_late_after_close,
    {medical} AS sessions_medical,
    {illness} AS sessions_illness,
    {harmonised_attended} AS harmonised_attended,
    {harmonised_absent} AS harmonised_absent
FROM unpacked
