-- Pupils with a mark that may break a rule, from the tallies alone; their marks are gone through one by one. Clean pupils are
-- never listed, faulty ones always: an unknown code, a code not in use, a session that is neither morning nor afternoon or is
-- there twice, a day on which the school was closed or the pupil not on roll. Pupils with more than one enrolment in a year are
-- listed because their marks must be shared out between schools. A tally has no half-term where its marks have no school day, the
-- pupil no enrolment in that year, or the school is closed all along. No counter has overflowed where no session is there twice.
-- Reads {tallies}, segments, rolls and grid.
SELECT DISTINCT t.pupil_id
FROM {tallies} AS t
LEFT JOIN segments AS s ON t.segment = s.segment
LEFT JOIN rolls AS r ON t.pupil_id = r.pupil_id AND s.academic_year = r.academic_year
LEFT JOIN grid AS g ON r.calendar = g.calendar AND t.segment = g.segment
WHERE g.half_term IS NULL
   OR NOT r.alone
   OR {other_school}
   OR coalesce({codes_in_use}, -1) <> t.marks
   OR bit_count(t.am_days) + bit_count(t.pm_days) <> t.marks
   OR t.am_days & g.open_days <> t.am_days
   OR t.pm_days & g.open_days <> t.pm_days
   OR t.segment < r.first_segment
   OR t.segment > r.last_segment
   OR (t.segment = r.first_segment AND (t.am_days | t.pm_days) & (r.first_bit - 1) <> 0)
   OR (t.segment = r.last_segment AND (t.am_days | t.pm_days) > 2 * r.last_bit - 1)
