package docs

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// Metric is the description of a metric.
type Metric struct {
	Name   string
	Type   string // counter, gauge or histogram
	Labels []string
	Help   string
}

// CheckMetrics checks the block `metrics` of the page.
func CheckMetrics(t *testing.T, page string, metrics map[string]Metric) {
	t.Helper()
	table := Table{Header: []string{"metric", "type", "labels", "description"}}
	for _, name := range slices.Sorted(maps.Keys(metrics)) {
		if m := metrics[name]; strings.HasPrefix(name, "blox_") {
			table.Add(Code(name), m.Type, Codes(m.Labels), Plain(m.Help))
		}
	}
	Check(t, page, "metrics", table.String())
}
