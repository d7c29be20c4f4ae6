package testenv

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

// Metric returns the value of a counter or gauge, summed over its labels; 0 if it has none yet.
func Metric(tb testing.TB, metrics prometheus.Gatherer, name string) (sum float64) {
	tb.Helper()
	families, err := metrics.Gather()
	require.NoError(tb, err)
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
