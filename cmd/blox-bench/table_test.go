package main

import (
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	queue "github.com/blox/blox/cluster-state-service/ingest"
)

func TestTable(t *testing.T) {
	table := &table{}
	table.add(row{"ingest", "events", "events/s", []pair{{100, 200}, {90, 100}, {3000, 10_000}}, []goal{atLeast("99 events/s", 99), ratioAtLeast(0.6)}})
	table.add(row{"startup", "ready", "s", []pair{{2, math.NaN()}, {4, math.NaN()}}, []goal{below("< 10 s", 10)}})
	var out strings.Builder
	table.print(&out)
	assert.Regexp(t, `ingest +events +100 events/s +200 events/s +0\.50 +99 events/s, ratio 0\.6 +no\n`, out.String())
	assert.Regexp(t, `startup +ready +3\.00 s +- +- +< 10 s +yes\n`, out.String())
}

func TestPercentiles(t *testing.T) {
	var times []time.Duration
	for n := range 200 {
		times = append(times, time.Duration(200-n)*time.Millisecond)
	}
	p50, p99 := percentiles(times)
	assert.Equal(t, 101.0, p50)
	assert.Equal(t, 199.0, p99)
}

// What is measured with must be what the service takes, or the figures are about something else.
func TestEventsAreECSs(t *testing.T) {
	for _, body := range lives(0, 8) {
		record, err := queue.Decode([]byte(body))
		require.NoError(t, err)
		assert.Contains(t, []string{taskKey(0, 0), taskKey(1, 1)}, record.Key.String())
	}
	_, ok := since([]byte(task(1, 1, 1, "RUNNING", stamp())), time.Now())
	assert.True(t, ok)
}

func TestSettings(t *testing.T) {
	c, err := parseConfig([]string{"--run", "^reads"}, io.Discard)
	require.NoError(t, err)
	assert.True(t, c.sections.MatchString("reads-10k"))
	assert.False(t, c.sections.MatchString("ingest"))
	for _, args := range [][]string{{"--run", "("}, {"--runs", "0"}, {"--pollers", "101"}, {"--time", "0s"}, {"ingest"}} {
		_, err := parseConfig(args, io.Discard)
		assert.Error(t, err, args)
	}
}
