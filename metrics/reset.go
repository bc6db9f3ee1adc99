package metrics

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// resettable shows what a registry counts since somebody wanted it to begin at zero. What has not been counted since then is not there, as after a
// start. Whoever counts knows nothing of it: instruments are bound once and used without a lock. Gauges stay: they tell what is, and nobody
// would set them again. So do the figures of the process.
type resettable struct {
	gatherer prometheus.Gatherer

	mu    sync.Mutex
	since time.Time
	base  map[string]*dto.Metric // by series; nil before the first reset
}

// Gather implements prometheus.Gatherer.
func (r *resettable) Gather() ([]*dto.MetricFamily, error) {
	r.mu.Lock()
	base, since := r.base, r.since // maps are replaced, never changed
	r.mu.Unlock()
	families, err := r.gatherer.Gather() // after that, or a reset meanwhile would make figures less than nothing
	if base == nil {
		return families, err
	}
	left := families[:0]
	for _, f := range families {
		if !resets(f) {
			left = append(left, f)
			continue
		}
		shown := f.Metric[:0]
		for _, m := range f.Metric {
			if before := base[seriesKey(f, m)]; before == nil || subtract(m, before, since) {
				shown = append(shown, m)
			}
		}
		if f.Metric = shown; len(shown) > 0 {
			left = append(left, f)
		}
	}
	return left, err
}

// reset has everything begin at zero.
func (r *resettable) reset() error {
	families, err := r.gatherer.Gather()
	if err != nil {
		return err
	}
	base := map[string]*dto.Metric{}
	for _, f := range families {
		if !resets(f) {
			continue
		}
		for _, m := range f.Metric {
			base[seriesKey(f, m)] = m
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.base, r.since = base, time.Now()
	return nil
}

// resets tells whether a family is of what this program counts.
func resets(f *dto.MetricFamily) bool {
	if strings.HasPrefix(f.GetName(), "go_") || strings.HasPrefix(f.GetName(), "process_") {
		return false
	}
	switch f.GetType() {
	case dto.MetricType_COUNTER, dto.MetricType_HISTOGRAM, dto.MetricType_SUMMARY:
		return true
	}
	return false
}

// seriesKey tells series apart: names and labels cannot have a zero byte in them, and a registry sorts labels.
func seriesKey(f *dto.MetricFamily, m *dto.Metric) string {
	var key strings.Builder
	key.WriteString(f.GetName())
	for _, l := range m.Label {
		key.WriteString("\x00" + l.GetName() + "\x00" + l.GetValue())
	}
	return key.String()
}

// subtract leaves in m what was counted after before. It reports whether that is anything.
func subtract(m, before *dto.Metric, since time.Time) bool {
	switch {
	case m.Counter != nil:
		c, b := m.Counter, before.Counter
		if !sameSeries(c.CreatedTimestamp, b.CreatedTimestamp) {
			return true
		}
		*c.Value -= b.GetValue()
		c.CreatedTimestamp = timestamppb.New(since)
		return *c.Value != 0
	case m.Histogram != nil:
		h, b := m.Histogram, before.Histogram
		if !sameSeries(h.CreatedTimestamp, b.CreatedTimestamp) {
			return true
		}
		*h.SampleCount -= b.GetSampleCount()
		*h.SampleSum -= b.GetSampleSum()
		for i, bucket := range h.Bucket {
			*bucket.CumulativeCount -= b.Bucket[i].GetCumulativeCount()
			if e := bucket.Exemplar; e != nil && e.GetTimestamp().AsTime().Before(since) {
				bucket.Exemplar = nil
			}
		}
		h.CreatedTimestamp = timestamppb.New(since)
		return *h.SampleCount != 0
	case m.Summary != nil: // its quantiles are of the last hours anyway
		s, b := m.Summary, before.Summary
		if !sameSeries(s.CreatedTimestamp, b.CreatedTimestamp) {
			return true
		}
		*s.SampleCount -= b.GetSampleCount()
		*s.SampleSum -= b.GetSampleSum()
		s.CreatedTimestamp = timestamppb.New(since)
		return *s.SampleCount != 0
	}
	return true
}

// sameSeries is false when a series was removed, and made again, between two looks at it.
func sameSeries(a, b *timestamppb.Timestamp) bool {
	return a.GetSeconds() == b.GetSeconds() && a.GetNanos() == b.GetNanos()
}
