package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrape is what /metrics showed at one time.
type scrape struct {
	at       time.Time
	families map[string]*dto.MetricFamily
}

func (c *frontClient) scrape(ctx context.Context) (*scrape, error) {
	page, err := c.fetch(ctx, "/metrics", "text/plain")
	if err != nil {
		return nil, fmt.Errorf("reading the metrics: %w", err)
	}
	s := &scrape{at: time.Now()}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	if s.families, err = parser.TextToMetricFamilies(bytes.NewReader(page)); err != nil {
		return nil, fmt.Errorf("reading the metrics: %w", err)
	}
	return s, nil
}

// labels are the values that series must have; one that begins with ! must not be.
type labels map[string]string

func (l labels) match(m *dto.Metric) bool {
	for name, want := range l {
		i := slices.IndexFunc(m.Label, func(p *dto.LabelPair) bool { return p.GetName() == name })
		got := ""
		if i >= 0 {
			got = m.Label[i].GetValue()
		}
		if not, is := strings.CutPrefix(want, "!"); is == (got == not) {
			return false
		}
	}
	return true
}

// sum adds up the counters or gauges of a name.
func (s *scrape) sum(name string, l labels) float64 {
	sum := 0.0
	for _, m := range s.families[name].GetMetric() {
		if l.match(m) {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// failed adds up the requests of a name that were answered with a 5xx.
func (s *scrape) failed(name string, l labels) float64 {
	sum := 0.0
	for _, m := range s.families[name].GetMetric() {
		for _, pair := range m.Label {
			if pair.GetName() == "code" && strings.HasPrefix(pair.GetValue(), "5") && l.match(m) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// by returns a gauge's values by one label.
func (s *scrape) by(name, label string) map[string]float64 {
	values := map[string]float64{}
	for _, m := range s.families[name].GetMetric() {
		for _, pair := range m.Label {
			if pair.GetName() == label {
				values[pair.GetValue()] += m.GetGauge().GetValue()
			}
		}
	}
	return values
}

// values are the values that a label has in the series of a name.
func (s *scrape) values(name, label string, l labels) map[string]bool {
	found := map[string]bool{}
	for _, m := range s.families[name].GetMetric() {
		for _, pair := range m.Label {
			if pair.GetName() == label && l.match(m) {
				found[pair.GetValue()] = true
			}
		}
	}
	return found
}

// within is the bucket that holds the q-th part of all that histograms of a name have observed: 0 when that is nothing, the largest bound when it is
// beyond all of them.
func (s *scrape) within(q float64, name string, l labels) float64 {
	counts, total := map[float64]float64{}, 0.0
	for _, m := range s.families[name].GetMetric() {
		if !l.match(m) {
			continue
		}
		total += float64(m.GetHistogram().GetSampleCount())
		for _, b := range m.GetHistogram().GetBucket() {
			if !math.IsInf(b.GetUpperBound(), 1) {
				counts[b.GetUpperBound()] += float64(b.GetCumulativeCount())
			}
		}
	}
	if total == 0 {
		return 0
	}
	bounds := slices.Sorted(maps.Keys(counts))
	for _, bound := range bounds {
		if counts[bound] >= q*total {
			return bound
		}
	}
	return bounds[len(bounds)-1]
}
