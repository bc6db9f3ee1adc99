package workload

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// unit is one of the five fields of a schedule.
type unit struct {
	name  string
	least int
	most  int
	words []string // for least and what follows
}

func units() []unit {
	return []unit{
		{"minute", 0, 59, nil}, {"hour", 0, 23, nil}, {"day of month", 1, 31, nil},
		{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
		{"day of week", 0, 6, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
	}
}

// checkSchedule tells whether a CronJob's schedule can be understood: five fields of numbers, ranges, steps and lists,
// or one of the words for common ones.
func checkSchedule(schedule string) error {
	if strings.HasPrefix(schedule, "@") {
		return checkScheduleWord(schedule)
	}
	fields, known := strings.Fields(schedule), units()
	if len(fields) != len(known) {
		return fmt.Errorf("expected exactly %d fields, found %d: %q", len(known), len(fields), schedule)
	}
	for i, text := range fields {
		for part := range strings.SplitSeq(text, ",") {
			if err := known[i].check(part); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkScheduleWord(word string) error {
	if every, ok := strings.CutPrefix(word, "@every "); ok {
		_, err := time.ParseDuration(every)
		return err
	}
	if !slices.Contains([]string{"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}, word) {
		return fmt.Errorf("unrecognized descriptor: %s", word)
	}
	return nil
}

// check reads one part of a list: *, n, n-m, and any of them with /step.
func (u unit) check(part string) error {
	values, step, stepped := strings.Cut(part, "/")
	if n, err := strconv.Atoi(step); stepped && (err != nil || n < 1) {
		return fmt.Errorf("the step of %s must be a positive number: %q", u.name, part)
	}
	if values == "*" || values == "?" {
		return nil
	}
	first, last, ranged := strings.Cut(values, "-")
	from, err := u.number(first)
	if err != nil {
		return err
	}
	to := from
	if ranged {
		if to, err = u.number(last); err != nil {
			return err
		}
	}
	if from > to {
		return fmt.Errorf("the range of %s ends before it begins: %q", u.name, part)
	}
	return nil
}

func (u unit) number(text string) (int, error) {
	if i := slices.Index(u.words, strings.ToLower(text)); i >= 0 {
		return u.least + i, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < u.least || n > u.most {
		return 0, fmt.Errorf("%s must be from %d to %d: %q", u.name, u.least, u.most, text)
	}
	return n, nil
}
