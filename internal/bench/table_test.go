package bench

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestTable_PrintsMediansAndTargets(t *testing.T) {
	table := &table{}
	table.add("ingest", "events", "events/s", []sample{{100, 200}, {90, 100}, {3000, 10_000}},
		atLeast("99 events/s", 99), ratioAtLeast(0.6))
	table.add("startup", "ready", "s", []sample{{2, math.NaN()}, {4, math.NaN()}}, below("< 10 s", 10))
	var out strings.Builder
	table.print(&out)
	assert.Regexp(t, `ingest +events +100 events/s +200 events/s +0\.50 +99 events/s, ratio 0\.60 +no\n`, out.String())
	assert.Regexp(t, `startup +ready +3\.00 s +- +- +< 10 s +yes\n`, out.String())
}

func TestTable_ShowsBounds(t *testing.T) {
	table := &table{}
	table.add("reads", "get", "1/s", []sample{{50, 100}}, ratioAtLeast(0.75))
	table.addBound("get beside the least", "requests/s", []sample{{50, 60}}, ratioAtLeast(0.75))
	table.add("reads", "list", "1/s", []sample{{40, 100}}, ratioAtLeast(0.75))
	table.addBound("list beside the least", "requests/s", []sample{{40, 60}}, ratioAtLeast(0.75))
	var out strings.Builder
	table.print(&out)
	assert.Regexp(t, `reads +get +50.0 1/s +100 1/s +0\.50 +ratio 0\.75 +bound\n`, out.String())
	assert.Regexp(t, `reads +get beside the least +50.0 requests/s +60.0 requests/s +0\.83 +ratio 0\.75 +yes\n`,
		out.String())
	assert.Regexp(t, `reads +list +40.0 1/s +100 1/s +0\.40 +ratio 0\.75 +no\n`, out.String())
}

func TestPercentiles_AreOfSortedTimes(t *testing.T) {
	var times []time.Duration
	for n := range 200 {
		times = append(times, time.Duration(200-n)*time.Millisecond)
	}
	p50, p99 := percentiles(times)
	assert.Equal(t, 101.0, p50)
	assert.Equal(t, 199.0, p99)
}
