-- One scan of the marks: whole-number tallies per pupil, half-term and code, from which intake and panel both follow.
-- Reads {marks} (pupil_id, date, session, code) and days (date, half_term, academic_year, slot).
-- ticks: one bit for each session marked, so that a session that is there twice shows as fewer bits than marks.
SELECT
    m.pupil_id,
    d.half_term,
    d.academic_year,
    m.date >= DATE '{code_change}' AS from_change,
    m.code,
    count(*) AS marks,
    count(CASE WHEN m.session IN ('AM', 'PM') THEN 1 END) AS sessions_named,
    min(m.date) AS first_date,
    max(m.date) AS last_date,
    bit_or(CASE WHEN d.slot < {slots} THEN 1::HUGEINT << CAST(d.slot + CASE WHEN m.session = 'PM' THEN 1 ELSE 0 END AS INTEGER) ELSE 0::HUGEINT END) AS ticks
FROM {marks} AS m
LEFT JOIN days AS d ON m.date = d.date
GROUP BY m.pupil_id, d.half_term, d.academic_year, m.date >= DATE '{code_change}', m.code
