-- Enrolments with the first and the last school day on roll as stretch and power of two. Reads accepted_pupils, school_calendars
-- (school_id, area_code, calendar), days. `rank` orders a pupil's enrolments of a year: main before subsidiary, then the earlier.
WITH starts AS (
    SELECT e.day, min(d.date) AS school_day
    FROM (SELECT DISTINCT enrolment_start AS day FROM accepted_pupils) AS e JOIN days AS d ON d.date >= e.day GROUP BY e.day
), ends AS (
    SELECT e.day, max(d.date) AS school_day
    FROM (SELECT DISTINCT enrolment_end AS day FROM accepted_pupils) AS e JOIN days AS d ON d.date <= e.day GROUP BY e.day
)
SELECT
    p.pupil_id, p.academic_year, p.school_id, c.area_code, c.calendar, p.year_group, p.enrolment_start, p.enrolment_end,
    row_number() OVER (PARTITION BY p.pupil_id, p.academic_year
                       ORDER BY CASE WHEN p.enrolment_status = 'subsidiary' THEN 1 ELSE 0 END, p.enrolment_start, p.school_id) AS rank,
    count(*) OVER (PARTITION BY p.pupil_id, p.academic_year) = 1 AS alone,
    coalesce(f.segment, 2147483647) AS first_segment,
    coalesce(f.bit, 1) AS first_bit,
    CASE WHEN p.enrolment_end IS NULL THEN 2147483647 ELSE coalesce(l.segment, 0) END AS last_segment,
    coalesce(l.bit, 1) AS last_bit
FROM accepted_pupils AS p
JOIN school_calendars AS c ON p.school_id = c.school_id
LEFT JOIN starts AS s ON p.enrolment_start = s.day
LEFT JOIN days AS f ON s.school_day = f.date
LEFT JOIN ends AS e ON p.enrolment_end = e.day
LEFT JOIN days AS l ON e.school_day = l.date
