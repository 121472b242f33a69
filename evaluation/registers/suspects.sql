-- Pupils with a mark that may break a rule, from the tallies alone; their marks are gone through one by one. Clean pupils are
-- never listed, faulty ones always: an unknown code, a code not in use, a session there twice, a day on which the school was
-- closed or the pupil not on roll. Pupils with more than one enrolment in a year are listed because their marks must be
-- shared out between schools. Reads {tallies}, segments, rolls, grid and odd_sessions.
SELECT DISTINCT t.pupil_id
FROM {tallies} AS t
LEFT JOIN segments AS s ON t.segment = s.segment
LEFT JOIN rolls AS r ON t.pupil_id = r.pupil_id AND s.academic_year = r.academic_year
LEFT JOIN grid AS g ON r.calendar = g.calendar AND t.segment = g.segment
WHERE t.segment IS NULL
   OR r.pupil_id IS NULL
   OR NOT r.alone
   OR t.school_id <> r.school_id
   OR g.half_term IS NULL
   OR t.marks > {most_marks}
   OR coalesce({codes_in_use}, -1) <> t.marks
   OR coalesce(bit_count(coalesce(t.pm_days, 0)) + bit_count(t.all_days - coalesce(t.pm_days, 0)), -1) <> t.marks
   OR (t.all_days - coalesce(t.pm_days, 0)) & g.open_days <> (t.all_days - coalesce(t.pm_days, 0))
   OR coalesce(t.pm_days, 0) & g.open_days <> coalesce(t.pm_days, 0)
   OR t.segment < r.first_segment
   OR t.segment > r.last_segment
   OR (t.segment = r.first_segment AND ((t.all_days - coalesce(t.pm_days, 0)) | coalesce(t.pm_days, 0)) & (r.first_bit - 1) <> 0)
   OR (t.segment = r.last_segment AND ((t.all_days - coalesce(t.pm_days, 0)) | coalesce(t.pm_days, 0)) > 2 * r.last_bit - 1)
UNION
SELECT pupil_id FROM odd_sessions
